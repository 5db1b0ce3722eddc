select
    deliveries.delivery_id,
    deliveries.order_id,
    deliveries.courier_id,
    deliveries.dispatched_at,
    deliveries.delivered_at,
    deliveries.distance_m,
    orders.branch_id,
    orders.ordered_at,
    orders.ordered_on,
    {{ minutes_between('orders.ordered_at', 'deliveries.delivered_at') }} as minutes_to_door
from {{ ref('stg_deliveries') }} as deliveries
inner join {{ ref('stg_orders') }} as orders
    on deliveries.order_id = orders.order_id
