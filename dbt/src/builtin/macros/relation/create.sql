{# Tables and views from queries. #}

{% macro get_create_sql(relation, sql) -%}
  {{- log('Applying CREATE to: ' ~ relation) -}}
  {{ return(adapter.dispatch('get_create_sql', 'dbt')(relation, sql)) }}
{%- endmacro %}
{% macro default__get_create_sql(relation, sql) -%}
  {%- if relation.is_table -%}{{ return(get_create_table_as_sql(False, relation, sql)) }}{%- endif -%}
  {%- set create = dbt._by_type('get_create_sql', relation, {
    'view': get_create_view_as_sql,
    'materialized_view': get_create_materialized_view_as_sql,
  }) -%}
  {{ create(relation, sql) }}
{%- endmacro %}

{% macro get_create_table_as_sql(temporary, relation, sql) -%}
  {{ return(adapter.dispatch('get_create_table_as_sql', 'dbt')(temporary, relation, sql)) }}
{%- endmacro %}
{% macro default__get_create_table_as_sql(temporary, relation, sql) %}{{ return(create_table_as(temporary, relation, sql)) }}{% endmacro %}

{# Implementations for other warehouses take no language where it is SQL. #}
{% macro create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
  {%- set create = adapter.dispatch('create_table_as', 'dbt') -%}
  {%- if adapter.type() == 'duckdb' -%}
    {{ return(create(temporary, relation, compiled_code, language, partitioned_by=partitioned_by, sorted_by=sorted_by)) }}
  {%- elif language == 'sql' -%}
    {{ return(create(temporary, relation, compiled_code)) }}
  {%- else -%}
    {{ return(create(temporary, relation, compiled_code, language)) }}
  {%- endif -%}
{%- endmacro %}

{% macro default__create_table_as(temporary, relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {%- set contracted = config.get('contract').enforced and not temporary -%}
  {{ header if header is not none }}
  create {{ 'temporary ' if temporary }}table {{ relation.include(database=(not temporary), schema=(not temporary)) }}
  {% if contracted %}
    {{ get_assert_columns_equivalent(sql) }}
    {{ get_table_columns_and_constraints() }}
  {% endif %}
  as (
    {{ get_select_subquery(sql) if contracted else sql }}
  );
{%- endmacro %}

{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
  {%- if language != 'sql' -%}
    {%- do exceptions.raise_compiler_error("duckdb__create_table_as macro didn't get supported language, it got %s" % language) -%}
  {%- elif partitioned_by or sorted_by -%}
    {%- do exceptions.raise_compiler_error('partitioned_by and sorted_by need DuckLake, which is not supported') -%}
  {%- endif -%}
  {%- set header = config.get('sql_header', none) -%}
  {%- set enforced = config.get('contract').enforced -%}
  {{ get_assert_columns_equivalent(compiled_code) if enforced }}
  {{ header if header is not none }}
  create {{ 'temporary ' if temporary }}table {{ relation.include(database=(not temporary), schema=(not temporary)) }}
  {% if enforced and not temporary %}
    {{ get_table_columns_and_constraints() }} ;
    insert into {{ relation }} {{ get_column_names() }} (
      {{ get_select_subquery(compiled_code) }}
    );
  {% else %}
    as (
      {{ compiled_code }}
    );
  {% endif %}
{% endmacro %}

{% macro postgres__create_table_as(temporary, relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {%- set enforced = config.get('contract').enforced -%}
  {{ header if header is not none }}
  create {{ 'temporary ' if temporary else 'unlogged ' if config.get('unlogged', default=false) }}table {{ relation }}
  {% if enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
  {% if enforced and not temporary %}
    {{ get_table_columns_and_constraints() }} ;
    insert into {{ relation }} ( {{ adapter.dispatch('get_column_names', 'dbt')() }} )
    (
      {{ get_select_subquery(sql) }}
    );
  {% else %}
    as (
      {{ sql }}
    );
  {% endif %}
{%- endmacro %}

{% macro get_create_view_as_sql(relation, sql) %}{{ return(adapter.dispatch('get_create_view_as_sql', 'dbt')(relation, sql)) }}{% endmacro %}
{% macro default__get_create_view_as_sql(relation, sql) %}{{ return(create_view_as(relation, sql)) }}{% endmacro %}

{% macro create_view_as(relation, sql) %}{{ return(adapter.dispatch('create_view_as', 'dbt')(relation, sql)) }}{% endmacro %}
{% macro default__create_view_as(relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ get_assert_columns_equivalent(sql) if config.get('contract').enforced }}
  {{ header if header is not none }}
  create view {{ relation.render() }} as (
    {{ sql }}
  );
{%- endmacro %}

{% macro create_or_replace_view() %}
  {%- set existing = adapter.get_relation(database=database, schema=schema, identifier=model['alias']) -%}
  {%- set target_relation = api.Relation.create(database=database, schema=schema, identifier=model['alias'], type='view') -%}
  {{ run_hooks(pre_hooks) }}
  {%- if existing is not none and existing.is_table -%}{{ handle_existing_table(should_full_refresh(), existing) }}{%- endif -%}
  {% call statement('main') -%}{{ get_create_view_as_sql(target_relation, sql) }}{%- endcall %}
  {% set revoke = should_revoke(existing is not none and existing.is_view, full_refresh_mode=True) %}
  {% do apply_grants(target_relation, config.get('grants'), should_revoke=revoke) %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target_relation]}) }}
{% endmacro %}

{% macro handle_existing_table(full_refresh, old_relation) -%}
  {{ return(adapter.dispatch('handle_existing_table', 'dbt')(full_refresh, old_relation)) }}
{%- endmacro %}
{% macro default__handle_existing_table(full_refresh, old_relation) %}
  {{ log('Dropping relation ' ~ old_relation.render() ~ ' because it is of type ' ~ old_relation.type) }}
  {{ adapter.drop_relation(old_relation) }}
{% endmacro %}
