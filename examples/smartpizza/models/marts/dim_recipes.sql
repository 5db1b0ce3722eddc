select
    recipes.recipe_id,
    recipes.recipe_name,
    recipes.category,
    recipes.list_price,
    costs.ingredient_count,
    costs.grams,
    cast(costs.ingredient_cost as numeric(12, 4)) as ingredient_cost,
    cast(recipes.list_price - costs.ingredient_cost as numeric(12, 4)) as margin
from {{ ref('stg_recipes') }} as recipes
left join {{ ref('int_recipe_costs') }} as costs
    on recipes.recipe_id = costs.recipe_id
