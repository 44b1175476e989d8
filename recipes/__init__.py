"""YAML recipes that travel with corpusmill: `demo.yaml` and `nemotron_cc.yaml`."""
