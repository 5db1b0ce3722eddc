{# The current time, as SQL. #}

{% macro current_timestamp() %}{{ return(adapter.dispatch('current_timestamp', 'dbt')()) }}{% endmacro %}
{% macro default__current_timestamp() -%}
  {{ exceptions.raise_not_implemented('current_timestamp macro not implemented for adapter ' + adapter.type()) }}
{%- endmacro %}
{% macro duckdb__current_timestamp() -%} now() {%- endmacro %}
{% macro postgres__current_timestamp() -%} now() {%- endmacro %}

{% macro snapshot_get_time() %}{{ return(adapter.dispatch('snapshot_get_time', 'dbt')()) }}{% endmacro %}
{% macro default__snapshot_get_time() -%} {{ current_timestamp() }} {%- endmacro %}
{% macro duckdb__snapshot_get_time() -%} {{ current_timestamp() }}::timestamp {%- endmacro %}
{% macro postgres__snapshot_get_time() -%} {{ current_timestamp() }}::timestamp without time zone {%- endmacro %}

{% macro get_snapshot_get_time_data_type() %}
  {% set time = adapter.dispatch('snapshot_get_time', 'dbt')() %}
  {% set schema = get_column_schema_from_query('select ' ~ time ~ ' as dbt_snapshot_time') %}
  {{ return(schema[0].dtype or none) }}
{% endmacro %}

{# Kept for packages written before `current_timestamp` meant the same everywhere. #}
{% macro current_timestamp_backcompat() %}{{ return(adapter.dispatch('current_timestamp_backcompat', 'dbt')()) }}{% endmacro %}
{% macro default__current_timestamp_backcompat() -%} current_timestamp::timestamp {%- endmacro %}
{% macro postgres__current_timestamp_backcompat() -%} current_timestamp::{{ type_timestamp() }} {%- endmacro %}

{% macro current_timestamp_in_utc_backcompat() %}{{ return(adapter.dispatch('current_timestamp_in_utc_backcompat', 'dbt')()) }}{% endmacro %}
{% macro default__current_timestamp_in_utc_backcompat() -%}
  {{ return(adapter.dispatch('current_timestamp_backcompat', 'dbt')()) }}
{%- endmacro %}
{% macro postgres__current_timestamp_in_utc_backcompat() -%} (current_timestamp at time zone 'utc')::{{ type_timestamp() }} {%- endmacro %}
