with orders as (

    select
        customer_id,
        count(*) as order_count,
        cast(sum(pizza_count) as bigint) as pizza_count,
        cast(sum(order_total) as numeric(18, 2)) as lifetime_value,
        min(ordered_at) as first_ordered_at,
        max(ordered_at) as last_ordered_at
    from {{ ref('fct_orders') }}
    where status <> 'canceled'
    group by customer_id

)

select
    customers.customer_id,
    customers.email,
    customers.first_name,
    customers.last_name,
    customers.country_code,
    customers.signed_up_on,
    coalesce(orders.order_count, 0) as order_count,
    coalesce(orders.pizza_count, 0) as pizza_count,
    coalesce(orders.lifetime_value, 0) as lifetime_value,
    orders.first_ordered_at,
    orders.last_ordered_at
from {{ ref('stg_customers') }} as customers
left join orders
    on customers.customer_id = orders.customer_id
