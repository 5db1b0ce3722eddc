-- What the ingredients of a medium pizza cost.
select
    recipe_ingredients.recipe_id,
    count(*) as ingredient_count,
    cast(sum(recipe_ingredients.grams) as bigint) as grams,
    sum(recipe_ingredients.grams * ingredients.cost_cents_per_kg) / 100000.0 as ingredient_cost
from {{ ref('stg_recipe_ingredients') }} as recipe_ingredients
inner join {{ ref('ingredients') }} as ingredients
    on recipe_ingredients.ingredient_id = ingredients.ingredient_id
group by recipe_ingredients.recipe_id
