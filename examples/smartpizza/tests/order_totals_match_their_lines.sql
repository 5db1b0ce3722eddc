-- The total of an order is the sum of its lines: nothing is lost between the till and the mart.
select
    orders.order_id,
    orders.order_total,
    sum(lines.quantity * lines.unit_price) as lines_total
from {{ ref('fct_orders') }} as orders
inner join {{ ref('stg_order_lines') }} as lines
    on orders.order_id = lines.order_id
group by orders.order_id, orders.order_total
having abs(orders.order_total - sum(lines.quantity * lines.unit_price)) > 0.005
