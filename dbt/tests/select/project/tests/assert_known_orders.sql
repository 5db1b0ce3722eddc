select id from {{ ref('fct_orders') }} where id not in (select id from {{ ref('stg_orders') }})
