select
    branch_id,
    ordered_on,
    count(*) as order_count,
    cast(sum(pizza_count) as bigint) as pizza_count,
    cast(sum(order_total) as numeric(18, 2)) as revenue,
    count(distinct customer_id) as customer_count,
    sum(case when status = 'canceled' then 1 else 0 end) as canceled_count
from {{ ref('fct_orders') }}
group by branch_id, ordered_on
