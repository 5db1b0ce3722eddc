{{ config(materialized='incremental', unique_key=['branch_id', 'ingredient_id', 'moved_on'], incremental_strategy='delete+insert') }}

select
    branch_id,
    ingredient_id,
    moved_on,
    cast(sum(case when kind = 'delivery' then grams else 0 end) as bigint) as grams_in,
    cast(-sum(case when kind = 'consumption' then grams else 0 end) as bigint) as grams_used,
    cast(-sum(case when kind = 'waste' then grams else 0 end) as bigint) as grams_wasted,
    cast(sum(grams) as bigint) as grams_net
from {{ ref('stg_inventory_movements') }}
{% if is_incremental() %}
where moved_on >= (select max(moved_on) from {{ this }})
{% endif %}
group by branch_id, ingredient_id, moved_on
