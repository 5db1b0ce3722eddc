select
    movement_id,
    branch_id,
    ingredient_id,
    cast(moved_at as timestamp) as moved_at,
    cast(moved_at as date) as moved_on,
    kind,
    grams
from {{ source('raw', 'inventory_movements') }}
