{# Relations that stand in for another one while it is built, and look-ups. #}

{% macro make_intermediate_relation(base_relation, suffix='__dbt_tmp') -%}
  {{ return(adapter.dispatch('make_intermediate_relation', 'dbt')(base_relation, suffix)) }}
{%- endmacro %}
{% macro default__make_intermediate_relation(base_relation, suffix) %}{{ return(default__make_temp_relation(base_relation, suffix)) }}{% endmacro %}
{% macro postgres__make_intermediate_relation(base_relation, suffix) -%}
  {{ return(postgres__make_relation_with_suffix(base_relation, suffix, dstring=False)) }}
{%- endmacro %}

{% macro make_temp_relation(base_relation, suffix='__dbt_tmp') %}
  {% if suffix == '__dbt_tmp' and model.batch %}{% set suffix = suffix ~ '_' ~ model.batch.id %}{% endif %}
  {{ return(adapter.dispatch('make_temp_relation', 'dbt')(base_relation, suffix)) }}
{% endmacro %}
{% macro default__make_temp_relation(base_relation, suffix) -%}
  {{ return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) }}
{%- endmacro %}
{# Temporary tables live outside of any schema that could be named. #}
{% macro duckdb__make_temp_relation(base_relation, suffix) -%}
  {% set identifier = base_relation.identifier ~ suffix ~ py_current_timestring() %}
  {{ return(base_relation.incorporate(path={'identifier': identifier, 'schema': none, 'database': none})) }}
{%- endmacro %}
{% macro postgres__make_temp_relation(base_relation, suffix) -%}
  {% set named = postgres__make_relation_with_suffix(base_relation, suffix, dstring=True) %}
  {{ return(named.incorporate(path={'schema': none, 'database': none})) }}
{%- endmacro %}

{% macro make_backup_relation(base_relation, backup_relation_type, suffix='__dbt_backup') -%}
  {{ return(adapter.dispatch('make_backup_relation', 'dbt')(base_relation, backup_relation_type, suffix)) }}
{%- endmacro %}
{% macro default__make_backup_relation(base_relation, backup_relation_type, suffix) -%}
  {{ return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix}, type=backup_relation_type)) }}
{%- endmacro %}
{% macro postgres__make_backup_relation(base_relation, backup_relation_type, suffix) -%}
  {% set named = postgres__make_relation_with_suffix(base_relation, suffix, dstring=False) %}
  {{ return(named.incorporate(type=backup_relation_type)) }}
{%- endmacro %}

{# PostgreSQL cuts long names without a word, so the base gives way to the suffix that makes the name unique. #}
{% macro postgres__make_relation_with_suffix(base_relation, suffix, dstring) %}
  {% if dstring %}{% set suffix = suffix ~ modules.datetime.datetime.now().strftime('%H%M%S%f') %}{% endif %}
  {% set longest = base_relation.relation_max_name_length() %}
  {% if suffix | length > longest %}
    {% do exceptions.raise_compiler_error('the suffix ' ~ suffix ~ ' is longer than a name may be (' ~ longest ~ ' characters)') %}
  {% endif %}
  {{ return(base_relation.incorporate(path={'identifier': base_relation.identifier[:longest - suffix | length] ~ suffix})) }}
{% endmacro %}

{# Returns whether it exists, and the relation. #}
{% macro get_or_create_relation(database, schema, identifier, type) -%}
  {{ return(adapter.dispatch('get_or_create_relation', 'dbt')(database, schema, identifier, type)) }}
{%- endmacro %}
{% macro default__get_or_create_relation(database, schema, identifier, type) %}
  {%- set existing = adapter.get_relation(database=database, schema=schema, identifier=identifier) %}
  {% if existing %}{{ return([true, existing]) }}{% endif %}
  {{ return([false, api.Relation.create(database=database, schema=schema, identifier=identifier, type=type)]) }}
{% endmacro %}

{% macro load_cached_relation(relation) -%}
  {{ return(adapter.get_relation(database=relation.database, schema=relation.schema, identifier=relation.identifier)) }}
{%- endmacro %}
{% macro load_relation(relation) %}{{ return(load_cached_relation(relation)) }}{% endmacro %}
