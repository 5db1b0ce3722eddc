{#- Cents, as the tills send them, in units of currency. -#}
{% macro cents_to_currency(column) -%}
    cast({{ column }} / 100.0 as numeric(12, 2))
{%- endmacro %}
