select
    delivery_id,
    order_id,
    courier_id,
    cast(dispatched_at as timestamp) as dispatched_at,
    cast(delivered_at as timestamp) as delivered_at,
    distance_m
from {{ source('raw', 'deliveries') }}
