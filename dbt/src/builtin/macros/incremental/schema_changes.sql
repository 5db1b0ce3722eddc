{# `on_schema_change` of incremental models. #}

{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') %}
  {% if on_schema_change in ['sync_all_columns', 'append_new_columns', 'fail', 'ignore'] %}{{ return(on_schema_change) }}{% endif %}
  {% do log('on_schema_change cannot be %s: taking %s' % (on_schema_change, default)) %}
  {{ return(default) }}
{% endmacro %}

{% macro check_for_schema_changes(source_relation, target_relation) -%}
  {{ return(adapter.dispatch('check_for_schema_changes', 'dbt')(source_relation, target_relation)) }}
{%- endmacro %}
{% macro default__check_for_schema_changes(source_relation, target_relation) %}
  {%- set source_columns = adapter.get_columns_in_relation(source_relation) -%}
  {%- set target_columns = adapter.get_columns_in_relation(target_relation) -%}
  {%- set added = diff_columns(source_columns, target_columns) -%}
  {%- set removed = diff_columns(target_columns, source_columns) -%}
  {%- set retyped = diff_column_data_types(source_columns, target_columns) -%}
  {%- set changed = added != [] or removed != [] or retyped != [] -%}
  {% do log('In ' ~ target_relation ~ ': schema changed: ' ~ changed ~ ', source columns not in target: ' ~ added ~ ', target columns not in source: ' ~ removed ~ ', new column types: ' ~ retyped) %}
  {{ return({
    'schema_changed': changed,
    'source_not_in_target': added,
    'target_not_in_source': removed,
    'source_columns': source_columns,
    'target_columns': target_columns,
    'new_target_types': retyped,
  }) }}
{% endmacro %}

{% macro sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) -%}
  {{ return(adapter.dispatch('sync_column_schemas', 'dbt')(on_schema_change, target_relation, schema_changes_dict)) }}
{%- endmacro %}
{% macro default__sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) %}
  {%- set sync = on_schema_change == 'sync_all_columns' -%}
  {%- set add = schema_changes_dict['source_not_in_target'] if sync or on_schema_change == 'append_new_columns' else [] -%}
  {%- set remove = schema_changes_dict['target_not_in_source'] if sync else [] -%}
  {%- set retype = schema_changes_dict['new_target_types'] if sync else [] -%}
  {% if add or remove %}
    {% do alter_relation_add_remove_columns(target_relation, add, remove if remove else none) %}
  {% endif %}
  {% for change in retype %}{% do alter_column_type(target_relation, change['column_name'], change['new_type']) %}{% endfor %}
  {% do log('In ' ~ target_relation ~ ': schema change approach: ' ~ on_schema_change ~ ', columns added: ' ~ add ~ ', columns removed: ' ~ remove ~ ', data types changed: ' ~ retype) %}
{% endmacro %}

{% macro process_schema_changes(on_schema_change, source_relation, target_relation) -%}
  {{ return(adapter.dispatch('process_schema_changes', 'dbt')(on_schema_change, source_relation, target_relation)) }}
{%- endmacro %}
{# Returns the columns to insert; nothing where changes are ignored. #}
{% macro default__process_schema_changes(on_schema_change, source_relation, target_relation) %}
  {% if on_schema_change == 'ignore' %}{{ return({}) }}{% endif %}
  {% set changes = check_for_schema_changes(source_relation, target_relation) %}
  {% if changes['schema_changed'] %}
    {% if on_schema_change == 'fail' %}
      {% do exceptions.raise_compiler_error(
        'The source and target schemas on this incremental model are out of sync!\n'
        ~ 'Set `on_schema_change` to append_new_columns or sync_all_columns, run the model with `full_refresh: True`, or change the table by hand.\n'
        ~ 'Source columns not in target: ' ~ changes['source_not_in_target'] ~ '\n'
        ~ 'Target columns not in source: ' ~ changes['target_not_in_source'] ~ '\n'
        ~ 'New column types: ' ~ changes['new_target_types']) %}
    {% else %}
      {% do sync_column_schemas(on_schema_change, target_relation, changes) %}
    {% endif %}
  {% endif %}
  {{ return(changes['source_columns']) }}
{% endmacro %}
