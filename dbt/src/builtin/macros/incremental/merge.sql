{# `merge into`. #}

{% macro get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set incremental_predicates = kwargs.get('predicates', incremental_predicates) -%}
  {{ return(adapter.dispatch('get_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) }}
{%- endmacro %}

{% macro get_merge_unique_key_match(source_unique_key, target_unique_key) -%}
  {{ return(adapter.dispatch('get_merge_unique_key_match', 'dbt')(source_unique_key, target_unique_key)) }}
{%- endmacro %}
{% macro default__get_merge_unique_key_match(source_unique_key, target_unique_key) -%}
  {{ return(equals(source_unique_key, target_unique_key) | trim) }}
{%- endmacro %}

{# Without a key nothing can match: every row is inserted. #}
{% macro default__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set predicates = [] + (incremental_predicates or []) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set updated = get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
  {%- set header = config.get('sql_header', none) -%}
  {% if not unique_key %}
    {% do predicates.append('FALSE') %}
  {% elif unique_key is sequence and unique_key is not mapping and unique_key is not string %}
    {% for key in unique_key %}
      {% do predicates.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = DBT_INTERNAL_DEST.' ~ key) %}
    {% endfor %}
  {% else %}
    {% do predicates.append(get_merge_unique_key_match('DBT_INTERNAL_SOURCE.' ~ unique_key, 'DBT_INTERNAL_DEST.' ~ unique_key)) %}
  {% endif %}
  {{ header if header is not none }}
  merge into {{ target }} as DBT_INTERNAL_DEST
  using {{ source }} as DBT_INTERNAL_SOURCE
  on ({{ predicates | join(') and (') }})
  {% if unique_key %}
  when matched then update set
    {% for column in updated %} {{ column }} = DBT_INTERNAL_SOURCE.{{ column }}{{ ', ' if not loop.last }} {% endfor %}
  {% endif %}
  when not matched then insert ({{ columns }})
  values ({{ columns }})
{% endmacro %}

{% macro get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header=false) -%}
  {{ return(adapter.dispatch('get_insert_overwrite_merge_sql', 'dbt')(target, source, dest_columns, predicates, include_sql_header)) }}
{%- endmacro %}
{% macro default__get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ header if header is not none and include_sql_header }}
  merge into {{ target }} as DBT_INTERNAL_DEST
  using {{ source }} as DBT_INTERNAL_SOURCE
  on FALSE
  when not matched by source {{ 'and ' ~ predicates | join(' and ') if predicates }} then delete
  when not matched then insert ({{ columns }})
  values ({{ columns }})
{% endmacro %}

{# One string or many, as a list. #}
{% macro normalize_string_or_list(raw, field_name) -%}
  {%- if raw is mapping or not (raw is none or raw is sequence) -%}
    {%- do exceptions.raise_compiler_error(field_name ~ ' must be a list of strings or a string') -%}
  {%- endif -%}
  {%- set items = [] if raw is none else [raw] if raw is string else raw | list -%}
  {%- for item in items if item is not string -%}
    {%- do exceptions.raise_compiler_error(field_name ~ ' list values must be non-empty strings') -%}
  {%- endfor -%}
  {{ return(items) }}
{%- endmacro %}
{% macro normalize_incremental_predicates(incremental_predicates) -%}
  {{ return(normalize_string_or_list(incremental_predicates, 'incremental_predicates')) }}
{%- endmacro %}

{% macro duckdb__merge_join_clause(unique_key, merge_on_using_columns, incremental_predicates) -%}
  {%- set predicates = [] -%}
  {%- if unique_key is sequence and unique_key is not mapping and unique_key is not string -%}
    {%- for key in unique_key -%}{%- do predicates.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = DBT_INTERNAL_DEST.' ~ key) -%}{%- endfor -%}
  {%- elif unique_key -%}
    {%- do predicates.append('DBT_INTERNAL_SOURCE.' ~ unique_key ~ ' = DBT_INTERNAL_DEST.' ~ unique_key) -%}
  {%- endif -%}
  {%- set filters = incremental_predicates or [] -%}
  {%- if merge_on_using_columns -%}
    USING ({{ merge_on_using_columns | join(', ') }}) {{ 'ON (' ~ filters | join(') AND (') ~ ')' if filters }}
  {%- else -%}
    ON ({{ ((predicates or ['FALSE']) + filters) | join(') AND (') }})
  {%- endif -%}
{%- endmacro %}

{% macro duckdb__get_incremental_merge_sql(args_dict) %}
  {{ return(duckdb__get_merge_sql(args_dict['target_relation'], args_dict['temp_relation'], args_dict['unique_key'], args_dict['dest_columns'], args_dict.get('incremental_predicates'))) }}
{% endmacro %}

{% macro duckdb__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- if config.get('merge_clauses') -%}
    {%- do exceptions.raise_compiler_error('merge_clauses is not supported') -%}
  {%- endif -%}
  {%- set header = config.get('sql_header', none) -%}
  {%- set include, exclude = config.get('merge_update_columns', []), config.get('merge_exclude_columns', []) -%}
  {%- set expressions = config.get('merge_update_set_expressions', {}) -%}
  {%- set on_update, on_insert = config.get('merge_update_condition', none), config.get('merge_insert_condition', none) -%}
  {%- set returning = config.get('merge_returning_columns', []) -%}
  {{ header if header is not none }}
  MERGE INTO {{ target }} AS DBT_INTERNAL_DEST
  USING {{ source }} AS DBT_INTERNAL_SOURCE
  {{ duckdb__merge_join_clause(unique_key, config.get('merge_on_using_columns', []), normalize_incremental_predicates(incremental_predicates)) }}
  WHEN MATCHED {{ 'AND ' ~ on_update if on_update }} THEN
  {% if include or exclude or expressions %}
    {%- set assignments = [] -%}
    {%- for column, expression in expressions.items() -%}{%- do assignments.append(column ~ ' = ' ~ expression) -%}{%- endfor -%}
    {%- for column in get_merge_update_columns(include, exclude, dest_columns) if column | replace('"', '') | replace("'", '') not in expressions -%}
      {%- do assignments.append(column ~ ' = DBT_INTERNAL_SOURCE.' ~ column) -%}
    {%- endfor -%}
    UPDATE SET {{ assignments | join(', ') }}
  {% else %}
    UPDATE BY NAME
  {% endif %}
  WHEN NOT MATCHED {{ 'AND ' ~ on_insert if on_insert }} THEN INSERT BY NAME
  {{ 'RETURNING ' ~ (returning if returning is string else returning | join(', ')) if returning }}
{% endmacro %}
