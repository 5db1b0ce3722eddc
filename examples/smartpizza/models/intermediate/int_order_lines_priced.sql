-- What each line of an order costs and what went into it.
select
    order_lines.order_line_key,
    order_lines.order_id,
    order_lines.line_number,
    order_lines.recipe_id,
    order_lines.size,
    order_lines.quantity,
    order_lines.unit_price,
    order_lines.quantity * order_lines.unit_price as line_total,
    order_lines.quantity * {{ size_factor('order_lines.size') }} as medium_pizzas
from {{ ref('stg_order_lines') }} as order_lines
