{# Model contracts: columns and constraints that a properties file promises. #}

{% macro get_table_columns_and_constraints() %}{{ return(adapter.dispatch('get_table_columns_and_constraints', 'dbt')()) }}{% endmacro %}
{% macro default__get_table_columns_and_constraints() %}{{ return(table_columns_and_constraints()) }}{% endmacro %}
{% macro table_columns_and_constraints() %}
  {%- set parts = adapter.render_raw_columns_constraints(raw_columns=model['columns']) + adapter.render_raw_model_constraints(raw_constraints=model['constraints']) %}
  ( {{ parts | join(', ') }} )
{% endmacro %}

{% macro get_assert_columns_equivalent(sql) %}{{ return(adapter.dispatch('get_assert_columns_equivalent', 'dbt')(sql)) }}{% endmacro %}
{% macro default__get_assert_columns_equivalent(sql) %}{{ return(assert_columns_equivalent(sql)) }}{% endmacro %}

{# Compares what the query gives with what the properties file promises, by name and type, in any order. #}
{% macro assert_columns_equivalent(sql) %}
  {%- if not model['columns'] -%}{{ exceptions.raise_contract_error([], []) }}{%- endif -%}
  {%- set actual = format_columns(get_column_schema_from_query(sql, config.get('sql_header', none))) -%}
  {%- set promised = format_columns(get_column_schema_from_query(get_empty_schema_sql(model['columns']))) -%}
  {%- set by_name = {} -%}
  {%- for column in promised -%}{%- do by_name.setdefault(column['name'], column['formatted']) -%}{%- endfor -%}
  {%- if actual | length != promised | length -%}{%- do exceptions.raise_contract_error(promised, actual) -%}{%- endif -%}
  {%- for column in actual if by_name.get(column['name']) != column['formatted'] -%}
    {%- do exceptions.raise_contract_error(promised, actual) -%}
  {%- endfor -%}
{% endmacro %}

{% macro format_columns(columns) %}
  {% set formatted = [] %}
  {% for column in columns %}{% do formatted.append(adapter.dispatch('format_column', 'dbt')(column)) %}{% endfor %}
  {{ return(formatted) }}
{% endmacro %}
{% macro default__format_column(column) -%}
  {{ return({'name': column.name, 'data_type': column.dtype, 'formatted': column.column.lower() ~ ' ' ~ column.dtype}) }}
{%- endmacro %}

{% macro _contract_column_names() -%}
  {%- for column in model['columns'].values() -%}
    {{ adapter.quote(column['name']) if column.get('quote') else column['name'] }}{{ ', ' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}
{% macro default__get_column_names() %}{{ return(dbt._contract_column_names()) }}{% endmacro %}
{% macro get_column_names() -%} ( {{ dbt._contract_column_names() }} ) {%- endmacro %}

{% macro get_select_subquery(sql) %}{{ return(adapter.dispatch('get_select_subquery', 'dbt')(sql)) }}{% endmacro %}
{% macro default__get_select_subquery(sql) %}
  select {{ adapter.dispatch('get_column_names', 'dbt')() }}
  from (
    {{ sql }}
  ) as model_subq
{%- endmacro %}
