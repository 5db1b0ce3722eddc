select
    order_id,
    line_number,
    {{ surrogate_key(['order_id', 'line_number']) }} as order_line_key,
    recipe_id,
    size,
    quantity,
    {{ cents_to_currency('unit_price_cents') }} as unit_price
from {{ source('raw', 'order_lines') }}
