select id from {{ source('raw', 'customers') }} left join {{ ref('countries') }} using (id)
