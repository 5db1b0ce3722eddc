select
    branch_id,
    trim(name) as branch_name,
    city,
    upper(country_code) as country_code,
    cast(opened_on as date) as opened_on,
    seats
from {{ source('raw', 'branches') }}
