{#- How many medium pizzas a pizza of that size is worth, by weight. -#}
{% macro size_factor(column) -%}
    case {{ column }} when 'small' then 0.7 when 'large' then 1.4 else 1.0 end
{%- endmacro %}

{% macro minutes_between(start, end) -%}
    cast(extract(epoch from ({{ end }} - {{ start }})) / 60.0 as numeric(12, 2))
{%- endmacro %}
