select
    branches.region,
    deliveries.ordered_on,
    count(*) as delivery_count,
    cast(avg(deliveries.minutes_to_door) as numeric(12, 2)) as minutes_to_door_mean,
    sum(case when deliveries.is_late then 1 else 0 end) as late_count
from {{ ref('fct_deliveries') }} as deliveries
inner join {{ ref('dim_branches') }} as branches
    on deliveries.branch_id = branches.branch_id
group by branches.region, deliveries.ordered_on
