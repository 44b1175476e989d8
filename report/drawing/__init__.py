"""Charts as positions in SVG units; `templates/charts.html` draws them."""
