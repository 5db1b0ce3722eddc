{{ config(materialized='ephemeral') }}
select id, customer_id from {{ ref('stg_orders') }} join {{ ref('stg_customers') }} using (id)
