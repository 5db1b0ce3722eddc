{{ config(materialized='incremental', incremental_strategy='append') }}

select
    delivery_id,
    order_id,
    branch_id,
    courier_id,
    ordered_on,
    dispatched_at,
    delivered_at,
    distance_m,
    minutes_to_door,
    minutes_to_door > {{ var('late_after_minutes') }} as is_late
from {{ ref('int_deliveries_timed') }}
{% if is_incremental() %}
where delivery_id > (select max(delivery_id) from {{ this }})
{% endif %}
