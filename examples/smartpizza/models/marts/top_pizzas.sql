select
    recipes.recipe_id,
    recipes.recipe_name,
    recipes.category,
    cast(sum(lines.quantity) as bigint) as pizzas_sold,
    cast(sum(lines.line_total) as numeric(18, 2)) as revenue,
    cast(sum(lines.line_total - lines.medium_pizzas * recipes.ingredient_cost) as numeric(18, 2)) as gross_profit,
    rank() over (order by sum(lines.quantity) desc, recipes.recipe_id) as sales_rank
from {{ ref('fct_order_lines') }} as lines
inner join {{ ref('dim_recipes') }} as recipes
    on lines.recipe_id = recipes.recipe_id
group by recipes.recipe_id, recipes.recipe_name, recipes.category
