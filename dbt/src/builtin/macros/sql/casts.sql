{# Casts and comparisons. #}

{% macro cast(field, type) %}{{ return(adapter.dispatch('cast', 'dbt')(field, type)) }}{% endmacro %}
{% macro default__cast(field, type) -%} cast({{ field }} as {{ type }}) {%- endmacro %}

{% macro safe_cast(field, type) %}{{ return(adapter.dispatch('safe_cast', 'dbt')(field, type)) }}{% endmacro %}
{# Where a warehouse has no cast that gives null for what cannot be converted, a plain one must do. #}
{% macro default__safe_cast(field, type) -%} cast({{ field }} as {{ type }}) {%- endmacro %}

{% macro cast_bool_to_text(field) %}{{ return(adapter.dispatch('cast_bool_to_text', 'dbt')(field)) }}{% endmacro %}
{% macro default__cast_bool_to_text(field) -%} cast({{ field }} as {{ api.Column.translate_type('string') }}) {%- endmacro %}

{% macro equals(expr1, expr2) %}{{ return(adapter.dispatch('equals', 'dbt')(expr1, expr2)) }}{% endmacro %}

{% macro default__equals(expr1, expr2) -%}
  {%- set equal = '(' ~ expr1 ~ ' = ' ~ expr2 ~ ')' -%}
  {%- set both_null = '(' ~ expr1 ~ ' is null and ' ~ expr2 ~ ' is null)' -%}
  {{ 'case when (' ~ equal ~ ' or ' ~ both_null ~ ') then 0 else 1 end = 0' if adapter.behavior.enable_truthy_nulls_equals_macro.no_warn else equal }}
{%- endmacro %}

{% macro postgres__equals(expr1, expr2) -%}
  ({{ expr1 }} {{ 'IS NOT DISTINCT FROM' if adapter.behavior.enable_truthy_nulls_equals_macro.no_warn else '=' }} {{ expr2 }})
{%- endmacro %}
