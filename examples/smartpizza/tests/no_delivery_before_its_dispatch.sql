select *
from {{ ref('stg_deliveries') }}
where delivered_at < dispatched_at
