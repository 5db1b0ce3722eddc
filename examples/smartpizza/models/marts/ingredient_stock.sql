{{ config(materialized='view') }}

select
    inventory.ingredient_id,
    ingredients.ingredient_name,
    cast(sum(inventory.grams_net) as bigint) as grams_in_stock,
    cast(sum(inventory.grams_wasted) as bigint) as grams_wasted
from {{ ref('fct_inventory_daily') }} as inventory
inner join {{ ref('ingredients') }} as ingredients
    on inventory.ingredient_id = ingredients.ingredient_id
group by inventory.ingredient_id, ingredients.ingredient_name
