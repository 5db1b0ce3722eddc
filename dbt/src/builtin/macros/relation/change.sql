{# Dropping, renaming, replacing and emptying relations. #}

{% macro _unsupported(name) -%}
  {{ exceptions.raise_compiler_error('`' ~ name ~ '` has not been implemented for this adapter.') }}
{%- endmacro %}

{# The macro for the relation's type, out of a dict by type. #}
{% macro _by_type(name, relation, macros) -%}
  {%- if relation.type not in macros -%}
    {%- do exceptions.raise_compiler_error('`' ~ name ~ '` has not been implemented for: ' ~ relation.type) -%}
  {%- endif -%}
  {{ return(macros[relation.type]) }}
{%- endmacro %}

{% macro get_drop_sql(relation) -%}
  {{- log('Applying DROP to: ' ~ relation) -}}
  {{ return(adapter.dispatch('get_drop_sql', 'dbt')(relation)) }}
{%- endmacro %}
{% macro default__get_drop_sql(relation) -%}
  {%- set drops = {'table': drop_table, 'view': drop_view, 'materialized_view': drop_materialized_view} -%}
  {{ drops[relation.type](relation) if relation.type in drops else 'drop ' ~ relation.type ~ ' if exists ' ~ relation.render() ~ ' cascade' }}
{%- endmacro %}

{% macro drop_table(relation) %}{{ return(adapter.dispatch('drop_table', 'dbt')(relation)) }}{% endmacro %}
{% macro default__drop_table(relation) -%} drop table if exists {{ relation.render() }} cascade {%- endmacro %}
{% macro drop_view(relation) %}{{ return(adapter.dispatch('drop_view', 'dbt')(relation)) }}{% endmacro %}
{% macro default__drop_view(relation) -%} drop view if exists {{ relation.render() }} cascade {%- endmacro %}
{% macro drop_materialized_view(relation) %}{{ return(adapter.dispatch('drop_materialized_view', 'dbt')(relation)) }}{% endmacro %}
{% macro default__drop_materialized_view(relation) -%} drop materialized view if exists {{ relation.render() }} cascade {%- endmacro %}

{% macro drop_relation(relation) %}{{ return(adapter.dispatch('drop_relation', 'dbt')(relation)) }}{% endmacro %}
{% macro default__drop_relation(relation) -%}
  {% call statement('drop_relation', auto_begin=False) -%} {{ get_drop_sql(relation) }} {%- endcall %}
{% endmacro %}
{% macro duckdb__drop_relation(relation) -%}
  {% call statement('drop_relation', auto_begin=False) -%} drop {{ relation.type }} if exists {{ relation }} cascade {%- endcall %}
{% endmacro %}
{% macro drop_relation_if_exists(relation) %}
  {% if relation is not none %}{{ adapter.drop_relation(relation) }}{% endif %}
{% endmacro %}

{% macro truncate_relation(relation) %}{{ return(adapter.dispatch('truncate_relation', 'dbt')(relation)) }}{% endmacro %}
{% macro default__truncate_relation(relation) -%}
  {% call statement('truncate_relation') -%} truncate table {{ relation.render() }} {%- endcall %}
{% endmacro %}

{% macro rename_relation(from_relation, to_relation) %}{{ return(adapter.dispatch('rename_relation', 'dbt')(from_relation, to_relation)) }}{% endmacro %}
{% macro default__rename_relation(from_relation, to_relation) -%}
  {% call statement('rename_relation') -%}
    alter table {{ from_relation.render() }} rename to {{ adapter.quote_as_configured(to_relation.identifier, 'identifier') }}
  {%- endcall %}
{% endmacro %}
{% macro duckdb__rename_relation(from_relation, to_relation) -%}
  {% call statement('rename_relation') -%}
    alter {{ to_relation.type }} {{ from_relation }} rename to {{ adapter.quote_as_configured(to_relation.identifier, 'identifier') }}
  {%- endcall %}
{% endmacro %}

{% macro get_rename_sql(relation, new_name) -%}
  {{- log('Applying RENAME to: ' ~ relation) -}}
  {{ return(adapter.dispatch('get_rename_sql', 'dbt')(relation, new_name)) }}
{%- endmacro %}
{% macro default__get_rename_sql(relation, new_name) -%}
  {%- set rename = dbt._by_type('get_rename_sql', relation, {
    'table': get_rename_table_sql,
    'view': get_rename_view_sql,
    'materialized_view': get_rename_materialized_view_sql,
  }) -%}
  {{ rename(relation, new_name) }}
{%- endmacro %}
{% macro get_rename_table_sql(relation, new_name) %}{{ return(adapter.dispatch('get_rename_table_sql', 'dbt')(relation, new_name)) }}{% endmacro %}
{% macro default__get_rename_table_sql(relation, new_name) %}{{ dbt._unsupported('get_rename_table_sql') }}{% endmacro %}
{% macro postgres__get_rename_table_sql(relation, new_name) -%} alter table {{ relation }} rename to {{ new_name }} {%- endmacro %}
{% macro get_rename_view_sql(relation, new_name) %}{{ return(adapter.dispatch('get_rename_view_sql', 'dbt')(relation, new_name)) }}{% endmacro %}
{% macro default__get_rename_view_sql(relation, new_name) %}{{ dbt._unsupported('get_rename_view_sql') }}{% endmacro %}
{% macro postgres__get_rename_view_sql(relation, new_name) -%} alter view {{ relation }} rename to {{ new_name }} {%- endmacro %}
{% macro get_rename_materialized_view_sql(relation, new_name) -%}
  {{ return(adapter.dispatch('get_rename_materialized_view_sql', 'dbt')(relation, new_name)) }}
{%- endmacro %}
{% macro default__get_rename_materialized_view_sql(relation, new_name) %}{{ dbt._unsupported('get_rename_materialized_view_sql') }}{% endmacro %}
{% macro postgres__get_rename_materialized_view_sql(relation, new_name) -%}
  alter materialized view {{ relation }} rename to {{ new_name }}
{%- endmacro %}

{% macro get_create_intermediate_sql(relation, sql) -%}
  {{- log('Applying CREATE INTERMEDIATE to: ' ~ relation) -}}
  {{ return(adapter.dispatch('get_create_intermediate_sql', 'dbt')(relation, sql)) }}
{%- endmacro %}
{% macro default__get_create_intermediate_sql(relation, sql) -%}
  {%- set intermediate = make_intermediate_relation(relation) -%}
  {{ get_drop_sql(intermediate) }};
  {{ get_create_sql(intermediate, sql) }}
{%- endmacro %}
{% macro get_rename_intermediate_sql(relation) -%}
  {{- log('Applying RENAME INTERMEDIATE to: ' ~ relation) -}}
  {{ return(adapter.dispatch('get_rename_intermediate_sql', 'dbt')(relation)) }}
{%- endmacro %}
{% macro default__get_rename_intermediate_sql(relation) -%}
  {{ get_rename_sql(make_intermediate_relation(relation), relation.identifier) }}
{%- endmacro %}
{% macro get_create_backup_sql(relation) -%}
  {{- log('Applying CREATE BACKUP to: ' ~ relation) -}}
  {{ return(adapter.dispatch('get_create_backup_sql', 'dbt')(relation)) }}
{%- endmacro %}
{% macro default__get_create_backup_sql(relation) -%}
  {%- set backup = make_backup_relation(relation, relation.type) -%}
  {{ get_drop_sql(backup) }};
  {{ get_rename_sql(relation, backup.identifier) }}
{%- endmacro %}
{% macro get_drop_backup_sql(relation) -%}
  {{- log('Applying DROP BACKUP to: ' ~ relation) -}}
  {{ return(adapter.dispatch('get_drop_backup_sql', 'dbt')(relation)) }}
{%- endmacro %}
{% macro default__get_drop_backup_sql(relation) -%} {{ get_drop_sql(make_backup_relation(relation, relation.type)) }} {%- endmacro %}

{% macro get_replace_sql(existing_relation, target_relation, sql) -%}
  {{- log('Applying REPLACE to: ' ~ existing_relation) -}}
  {{ return(adapter.dispatch('get_replace_sql', 'dbt')(existing_relation, target_relation, sql)) }}
{%- endmacro %}
{# In one statement where the warehouse can; otherwise aside and renamed; otherwise dropped first. #}
{% macro default__get_replace_sql(existing_relation, target_relation, sql) -%}
  {%- set in_place = existing_relation.type == target_relation.type and existing_relation.can_be_replaced -%}
  {%- set steps = [] -%}
  {%- if in_place and existing_relation.is_view -%} {{ get_replace_view_sql(target_relation, sql) }}
  {%- elif in_place and existing_relation.is_table -%} {{ get_replace_table_sql(target_relation, sql) }}
  {%- elif in_place and existing_relation.is_materialized_view -%} {{ get_replace_materialized_view_sql(target_relation, sql) }}
  {%- else -%}
    {%- if target_relation.can_be_renamed -%}
      {%- do steps.append(get_create_intermediate_sql(target_relation, sql)) -%}
    {%- endif -%}
    {%- do steps.append(get_create_backup_sql(existing_relation) if existing_relation.can_be_renamed else get_drop_sql(existing_relation)) -%}
    {%- do steps.append(get_rename_intermediate_sql(target_relation) if target_relation.can_be_renamed else get_create_sql(target_relation, sql)) -%}
    {%- if existing_relation.can_be_renamed -%}{%- do steps.append(get_drop_backup_sql(existing_relation)) -%}{%- endif -%}
    {{ steps | join(';\n') }}
  {%- endif -%}
{%- endmacro %}
{% macro get_replace_view_sql(relation, sql) %}{{ return(adapter.dispatch('get_replace_view_sql', 'dbt')(relation, sql)) }}{% endmacro %}
{% macro default__get_replace_view_sql(relation, sql) %}{{ dbt._unsupported('get_replace_view_sql') }}{% endmacro %}
{% macro postgres__get_replace_view_sql(relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ header if header is not none }}
  {{ get_assert_columns_equivalent(sql) if config.get('contract').enforced }}
  create or replace view {{ relation }} as (
    {{ sql }}
  );
{%- endmacro %}
{% macro get_replace_table_sql(relation, sql) %}{{ return(adapter.dispatch('get_replace_table_sql', 'dbt')(relation, sql)) }}{% endmacro %}
{% macro default__get_replace_table_sql(relation, sql) %}{{ dbt._unsupported('get_replace_table_sql') }}{% endmacro %}
{% macro get_replace_materialized_view_sql(relation, sql) %}{{ return(adapter.dispatch('get_replace_materialized_view_sql', 'dbt')(relation, sql)) }}{% endmacro %}
{% macro default__get_replace_materialized_view_sql(relation, sql) %}{{ dbt._unsupported('get_replace_materialized_view_sql') }}{% endmacro %}

{% macro get_create_materialized_view_as_sql(relation, sql) %}{{ return(adapter.dispatch('get_create_materialized_view_as_sql', 'dbt')(relation, sql)) }}{% endmacro %}
{% macro default__get_create_materialized_view_as_sql(relation, sql) %}{{ dbt._unsupported('get_create_materialized_view_as_sql') }}{% endmacro %}
{% macro postgres__get_create_materialized_view_as_sql(relation, sql) %}
  create materialized view if not exists {{ relation }} as {{ sql }};
  {% for index in config.get('indexes', []) -%}
    {{ get_create_index_sql(relation, index) }}{{ ';' if not loop.last }}
  {%- endfor %}
{% endmacro %}
{% macro refresh_materialized_view(relation) -%}
  {{- log('Applying REFRESH to: ' ~ relation) -}}
  {{ return(adapter.dispatch('refresh_materialized_view', 'dbt')(relation)) }}
{%- endmacro %}
{% macro default__refresh_materialized_view(relation) %}{{ dbt._unsupported('refresh_materialized_view') }}{% endmacro %}
{% macro postgres__refresh_materialized_view(relation) -%} refresh materialized view {{ relation }} {%- endmacro %}
