{# Delete what the batch replaces, then insert it. #}

{% macro get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {{ return(adapter.dispatch('get_delete_insert_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) }}
{%- endmacro %}

{% macro default__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {% if unique_key %}
    {%- set keys = unique_key if unique_key is string else unique_key | join(', ') -%}
    delete from {{ target }} as DBT_INTERNAL_DEST
    where ({{ keys }}) in (
      select distinct {{ keys }}
      from {{ source }} as DBT_INTERNAL_SOURCE
    )
    {%- for predicate in incremental_predicates or [] %} and {{ predicate }} {% endfor -%};
  {% endif %}
  {{ get_insert_into_sql(target, source, dest_columns) }}
{%- endmacro %}

{% macro duckdb__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {%- set narrowed -%}
    {%- for predicate in incremental_predicates or [] %} and {{ predicate }} {% endfor -%}
  {%- endset -%}
  {% if unique_key and unique_key is sequence and unique_key is not string %}
    delete from {{ target }} as DBT_INCREMENTAL_TARGET
    using {{ source }}
    where (
      {% for key in unique_key %} {{ source }}.{{ key }} = DBT_INCREMENTAL_TARGET.{{ key }} {{ 'and ' if not loop.last }} {% endfor %}
      {{ narrowed }}
    );
  {% elif unique_key %}
    delete from {{ target }}
    where ({{ unique_key }}) in (
      select ({{ unique_key }})
      from {{ source }}
    )
    {{ narrowed }};
  {% endif %}
  {{ get_insert_into_sql(target, source, dest_columns) }}
{%- endmacro %}
