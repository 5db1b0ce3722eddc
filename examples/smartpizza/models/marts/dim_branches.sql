select
    branches.branch_id,
    branches.branch_name,
    branches.city,
    branches.country_code,
    countries.country_name,
    countries.region,
    branches.opened_on,
    branches.seats
from {{ ref('stg_branches') }} as branches
left join {{ ref('countries') }} as countries
    on branches.country_code = countries.country_code
