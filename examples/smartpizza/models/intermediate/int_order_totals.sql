select
    order_id,
    count(*) as line_count,
    cast(sum(quantity) as bigint) as pizza_count,
    sum(line_total) as order_total
from {{ ref('int_order_lines_priced') }}
group by order_id
