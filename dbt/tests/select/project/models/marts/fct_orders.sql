{{ config(unique_key='id', tags=['nightly', 'core']) }}
select id, customer_id from {{ ref('int_orders') }}
