{{ config(materialized='incremental', unique_key='order_line_key', incremental_strategy='delete+insert') }}

select
    lines.order_line_key,
    lines.order_id,
    lines.line_number,
    lines.recipe_id,
    lines.size,
    lines.quantity,
    lines.unit_price,
    lines.line_total,
    lines.medium_pizzas,
    orders.branch_id,
    orders.ordered_on
from {{ ref('int_order_lines_priced') }} as lines
inner join {{ ref('stg_orders') }} as orders
    on lines.order_id = orders.order_id
where orders.status <> 'canceled'
{% if is_incremental() %}
    and orders.ordered_on >= (select max(ordered_on) from {{ this }})
{% endif %}
