select
    recipe_id,
    ingredient_id,
    grams
from {{ source('raw', 'recipe_ingredients') }}
