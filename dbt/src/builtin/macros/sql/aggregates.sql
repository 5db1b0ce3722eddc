{# Aggregate functions whose names differ between warehouses. #}

{% macro any_value(expression) %}{{ return(adapter.dispatch('any_value', 'dbt')(expression)) }}{% endmacro %}
{% macro default__any_value(expression) -%} any_value({{ expression }}) {%- endmacro %}
{% macro duckdb__any_value(expression) -%} arbitrary({{ expression }}) {%- endmacro %}
{# PostgreSQL before 16 has no any_value; the smallest value is as good as any. #}
{% macro postgres__any_value(expression) -%} min({{ expression }}) {%- endmacro %}

{% macro bool_or(expression) %}{{ return(adapter.dispatch('bool_or', 'dbt')(expression)) }}{% endmacro %}
{% macro default__bool_or(expression) -%} bool_or({{ expression }}) {%- endmacro %}

{% macro listagg(measure, delimiter_text="','", order_by_clause=none, limit_num=none) -%}
  {{ return(adapter.dispatch('listagg', 'dbt')(measure, delimiter_text, order_by_clause, limit_num)) }}
{%- endmacro %}

{% macro default__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
  {%- set ordering = 'within group (' ~ order_by_clause ~ ')' if order_by_clause else '' -%}
  {%- if limit_num -%}
    array_to_string( array_slice( array_agg( {{ measure }} ){{ ordering }} ,0 ,{{ limit_num }} ), {{ delimiter_text }} )
  {%- else -%}
    listagg( {{ measure }}, {{ delimiter_text }} ) {{ ordering }}
  {%- endif -%}
{%- endmacro %}

{% macro duckdb__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
  {%- set ordering = order_by_clause if order_by_clause else '' -%}
  {%- if limit_num -%}
    list_aggr( (array_agg( {{ measure }} {{ ordering }} ))[1:{{ limit_num }}], 'string_agg', {{ delimiter_text }} )
  {%- else -%}
    string_agg( {{ measure }}, {{ delimiter_text }} {{ ordering }} )
  {%- endif -%}
{%- endmacro %}

{% macro postgres__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
  {%- set ordering = order_by_clause if order_by_clause else '' -%}
  {%- if limit_num -%}
    array_to_string( (array_agg( {{ measure }} {{ ordering }} ))[1:{{ limit_num }}], {{ delimiter_text }} )
  {%- else -%}
    string_agg( {{ measure }}, {{ delimiter_text }} {{ ordering }} )
  {%- endif -%}
{%- endmacro %}
