{# What a warehouse tells of its relations. #}

{% macro _not_implemented(name) -%}
  {{ exceptions.raise_not_implemented(name ~ ' macro not implemented for adapter ' ~ adapter.type()) }}
{%- endmacro %}

{% macro list_relations_without_caching(schema_relation) -%}
  {{ return(adapter.dispatch('list_relations_without_caching', 'dbt')(schema_relation)) }}
{%- endmacro %}
{% macro default__list_relations_without_caching(schema_relation) %}{{ dbt._not_implemented('list_relations_without_caching') }}{% endmacro %}
{% macro duckdb__list_relations_without_caching(schema_relation) %}
  {% call statement('list_relations_without_caching', fetch_result=True) -%}
    select
      '{{ schema_relation.database }}' as database, table_name as name, table_schema as schema,
      case when table_type = 'VIEW' then 'view' when table_type in ('BASE TABLE', 'LOCAL TEMPORARY') then 'table' end as type
    from system.information_schema.tables
    where (lower(table_catalog), lower(table_schema)) = ('{{ schema_relation.database | lower }}', '{{ schema_relation.schema | lower }}')
  {% endcall %}
  {{ return(load_result('list_relations_without_caching').table) }}
{% endmacro %}
{% macro postgres__list_relations_without_caching(schema_relation) %}
  {%- set kinds = [
    ('tablename', 'schemaname', 'table', 'pg_tables'),
    ('viewname', 'schemaname', 'view', 'pg_views'),
    ('matviewname', 'schemaname', 'materialized_view', 'pg_matviews'),
    ('distinct proname', 'ns.nspname', 'function', 'pg_proc join pg_namespace as ns on pronamespace = ns.oid'),
  ] %}
  {% call statement('list_relations_without_caching', fetch_result=True) -%}
    {% for name, schema, type, source in kinds %}
    select {{ 'distinct ' if name.startswith('distinct') }}'{{ schema_relation.database }}' as database,
      {{ name | replace('distinct ', '') }} as name, {{ schema }} as schema, '{{ type }}' as type
    from {{ source }}
    where {{ schema }} ilike '{{ schema_relation.schema }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}
  {% endcall %}
  {{ return(load_result('list_relations_without_caching').table) }}
{% endmacro %}

{% macro list_function_relations_without_caching(schema_relation) -%}
  {{ return(adapter.dispatch('list_function_relations_without_caching', 'dbt')(schema_relation)) }}
{%- endmacro %}
{% macro default__list_function_relations_without_caching(schema_relation) -%}
  {{ dbt._not_implemented('list_function_relations_without_caching') }}
{%- endmacro %}

{% macro get_relations() %}{{ return(adapter.dispatch('get_relations', 'dbt')()) }}{% endmacro %}
{% macro default__get_relations() %}{{ dbt._not_implemented('get_relations') }}{% endmacro %}

{% macro get_relation_last_modified(information_schema, relations) -%}
  {{ return(adapter.dispatch('get_relation_last_modified', 'dbt')(information_schema, relations)) }}
{%- endmacro %}
{% macro default__get_relation_last_modified(information_schema, relations) -%}
  {{ dbt._not_implemented('get_relation_last_modified') }}
{%- endmacro %}

{% macro get_catalog(information_schema, schemas) -%}
  {{ return(adapter.dispatch('get_catalog', 'dbt')(information_schema, schemas)) }}
{%- endmacro %}
{% macro default__get_catalog(information_schema, schemas) -%}
  {{ exceptions.raise_compiler_error('get_catalog not implemented for ' ~ adapter.type()) }}
{%- endmacro %}

{% macro get_catalog_relations(information_schema, relations) -%}
  {{ return(adapter.dispatch('get_catalog_relations', 'dbt')(information_schema, relations)) }}
{%- endmacro %}
{% macro default__get_catalog_relations(information_schema, relations) -%}
  {{ exceptions.raise_compiler_error('get_catalog_relations not implemented for ' ~ adapter.type()) }}
{%- endmacro %}

{% macro get_catalog_for_single_relation(relation) -%}
  {{ return(adapter.dispatch('get_catalog_for_single_relation', 'dbt')(relation)) }}
{%- endmacro %}
{% macro default__get_catalog_for_single_relation(relation) %}{{ dbt._not_implemented('get_catalog_for_single_relation') }}{% endmacro %}

{% macro collect_freshness(source, loaded_at_field, filter) -%}
  {{ return(adapter.dispatch('collect_freshness', 'dbt')(source, loaded_at_field, filter)) }}
{%- endmacro %}
{% macro default__collect_freshness(source, loaded_at_field, filter) %}
  {% call statement('collect_freshness', fetch_result=True, auto_begin=False) -%}
    select max({{ loaded_at_field }}) as max_loaded_at, {{ current_timestamp() }} as snapshotted_at
    from {{ source }}
    {{ 'where ' ~ filter if filter }}
  {% endcall %}
  {{ return(load_result('collect_freshness')) }}
{% endmacro %}

{% macro collect_freshness_custom_sql(source, loaded_at_query) -%}
  {{ return(adapter.dispatch('collect_freshness_custom_sql', 'dbt')(source, loaded_at_query)) }}
{%- endmacro %}
{% macro default__collect_freshness_custom_sql(source, loaded_at_query) %}
  {% call statement('collect_freshness_custom_sql', fetch_result=True, auto_begin=False) -%}
    with source_query as (
      {{ loaded_at_query }}
    )
    select (select * from source_query) as max_loaded_at, {{ current_timestamp() }} as snapshotted_at
  {% endcall %}
  {{ return(load_result('collect_freshness_custom_sql')) }}
{% endmacro %}
