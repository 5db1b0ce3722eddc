{# Schemas. #}

{% macro create_schema(relation) %}{{ return(adapter.dispatch('create_schema', 'dbt')(relation)) }}{% endmacro %}
{% macro default__create_schema(relation) -%}
  {%- call statement('create_schema') -%} create schema if not exists {{ relation.without_identifier() }} {%- endcall -%}
{% endmacro %}
{# A connection sees one database, so the schema's name leaves it out. #}
{% macro _schema_here(relation) -%}
  {%- do adapter.verify_database(relation.database) if relation.database -%}
  {{ return(relation.without_identifier().include(database=False)) }}
{%- endmacro %}
{% macro postgres__create_schema(relation) -%}
  {%- call statement('create_schema') -%} create schema if not exists {{ dbt._schema_here(relation) }} {%- endcall -%}
{% endmacro %}

{% macro drop_schema(relation) %}{{ return(adapter.dispatch('drop_schema', 'dbt')(relation)) }}{% endmacro %}
{% macro default__drop_schema(relation) -%}
  {%- call statement('drop_schema') -%} drop schema if exists {{ relation.without_identifier() }} cascade {%- endcall -%}
{% endmacro %}
{% macro postgres__drop_schema(relation) -%}
  {%- call statement('drop_schema') -%} drop schema if exists {{ dbt._schema_here(relation) }} cascade {%- endcall -%}
{% endmacro %}

{% macro drop_schema_named(schema_name) %}{{ return(adapter.dispatch('drop_schema_named', 'dbt')(schema_name)) }}{% endmacro %}
{% macro default__drop_schema_named(schema_name) %}
  {{ adapter.drop_schema(api.Relation.create(schema=schema_name)) }}
{% endmacro %}

{% macro list_schemas(database) %}{{ return(adapter.dispatch('list_schemas', 'dbt')(database)) }}{% endmacro %}
{% macro default__list_schemas(database) -%}
  {% set sql %}
    select distinct schema_name from {{ information_schema_name(database) }}.SCHEMATA where catalog_name ilike '{{ database }}'
  {% endset %}
  {{ return(run_query(sql)) }}
{% endmacro %}
{% macro duckdb__list_schemas(database) -%}
  {% set sql %}
    select schema_name from system.information_schema.schemata
    {% if database is not none %} where lower(catalog_name) = '{{ database | lower }}' {% endif %}
  {% endset %}
  {{ return(run_query(sql)) }}
{% endmacro %}
{% macro postgres__list_schemas(database) -%}
  {%- do adapter.verify_database(database) if database -%}
  {{ return(run_query('select distinct nspname from pg_namespace')) }}
{% endmacro %}

{% macro check_schema_exists(information_schema, schema) -%}
  {{ return(adapter.dispatch('check_schema_exists', 'dbt')(information_schema, schema)) }}
{%- endmacro %}
{% macro default__check_schema_exists(information_schema, schema) -%}
  {% set sql %}
    select count(*) from {{ information_schema.replace(information_schema_view='SCHEMATA') }}
    where catalog_name='{{ information_schema.database }}' and schema_name='{{ schema }}'
  {% endset %}
  {{ return(run_query(sql)) }}
{% endmacro %}
{% macro duckdb__check_schema_exists(information_schema, schema) -%}
  {% set sql %}
    select count(*) from system.information_schema.schemata
    where lower(schema_name) = '{{ schema | lower }}' and lower(catalog_name) = '{{ information_schema.database | lower }}'
  {% endset %}
  {{ return(run_query(sql)) }}
{% endmacro %}
{% macro postgres__check_schema_exists(information_schema, schema) -%}
  {%- do adapter.verify_database(information_schema.database) if information_schema.database -%}
  {{ return(run_query("select count(*) from pg_namespace where nspname = '" ~ schema ~ "'")) }}
{% endmacro %}

{% macro information_schema_name(database) %}{{ return(adapter.dispatch('information_schema_name', 'dbt')(database)) }}{% endmacro %}
{% macro default__information_schema_name(database) -%}
  {{ database ~ '.INFORMATION_SCHEMA' if database else 'INFORMATION_SCHEMA' }}
{%- endmacro %}
{% macro postgres__information_schema_name(database) -%} information_schema {%- endmacro %}
