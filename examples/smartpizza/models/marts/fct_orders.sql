{{
    config(
        materialized='incremental',
        unique_key='order_id',
        incremental_strategy='delete+insert',
        on_schema_change='append_new_columns'
    )
}}

select
    orders.order_id,
    orders.customer_id,
    orders.branch_id,
    orders.ordered_at,
    orders.ordered_on,
    orders.status,
    orders.channel,
    coalesce(totals.line_count, 0) as line_count,
    coalesce(totals.pizza_count, 0) as pizza_count,
    coalesce(totals.order_total, 0) as order_total
from {{ ref('stg_orders') }} as orders
left join {{ ref('int_order_totals') }} as totals
    on orders.order_id = totals.order_id
{% if is_incremental() %}
-- Orders change for a day: read everything since the day before the newest one that is known.
where orders.ordered_at >= (select max(ordered_at) - interval '1 day' from {{ this }})
{% endif %}
