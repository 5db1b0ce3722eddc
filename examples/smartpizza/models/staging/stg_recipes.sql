select
    recipe_id,
    name as recipe_name,
    category,
    {{ cents_to_currency('price_cents') }} as list_price
from {{ source('raw', 'recipes') }}
