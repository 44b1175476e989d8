"""Setting a column of an Arrow table."""

import pyarrow as pa


def with_column(
    table: pa.Table, field: pa.Field | str, values: pa.Array | pa.ChunkedArray
) -> pa.Table:
    """`table` with this column in its old place, or at the end if it is new.

    field: the column's name and type. A name alone takes the type of the values. Values of another
    type are cast.
    """
    if isinstance(field, str):
        field = pa.field(field, values.type)
    if values.type != field.type:
        values = values.cast(field.type)
    place = table.schema.get_field_index(field.name)
    if place < 0:
        return table.append_column(field, values)
    return table.set_column(place, field, values)
