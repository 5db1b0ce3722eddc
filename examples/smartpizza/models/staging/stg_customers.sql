select
    customer_id,
    lower(email) as email,
    first_name,
    last_name,
    cast(signed_up_at as timestamp) as signed_up_at,
    cast(signed_up_at as date) as signed_up_on,
    upper(country_code) as country_code
from {{ source('raw', 'customers') }}
