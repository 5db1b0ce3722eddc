{# How templates send SQL. A macro that is called by its bare name may be replaced by the project. #}

{# What the node itself runs is kept in the target folder. #}
{% macro _keep_main(name, language, code) -%}
  {%- if name == 'main' -%}
    {%- do log('Writing runtime ' ~ language ~ ' for node "' ~ model['unique_id'] ~ '"') -%}
    {%- do write(code) -%}
  {%- endif -%}
{%- endmacro %}

{% macro statement(name=None, fetch_result=False, auto_begin=True, language='sql') -%}
  {%- if not execute -%}{{ return('') }}{%- endif -%}
  {%- set code = caller() -%}
  {%- do dbt._keep_main(name, language, code) -%}
  {%- if language not in ('sql', 'python') -%}
    {%- do exceptions.raise_compiler_error("a statement is in 'sql' or 'python', not in '" ~ language ~ "'") -%}
  {%- endif -%}
  {%- set outcome = adapter.execute(code, auto_begin=auto_begin, fetch=fetch_result) if language == 'sql' else (submit_python_job(model, code), none) -%}
  {%- if name is not none -%}{%- do store_result(name, response=outcome[0], agate_table=outcome[1]) -%}{%- endif -%}
{%- endmacro %}

{# Records a result without sending anything. #}
{% macro noop_statement(name=None, message=None, code=None, rows_affected=None, res=None) -%}
  {%- do dbt._keep_main(name, 'SQL', caller()) -%}
  {%- if name is not none -%}
    {%- do store_raw_result(name, message=message, code=code, rows_affected=rows_affected, agate_table=res) -%}
  {%- endif -%}
{%- endmacro %}

{% macro run_query(sql) %}
  {% call statement('run_query_statement', fetch_result=true, auto_begin=false) %}
    {{ sql }}
  {% endcall %}
  {{ return(load_result('run_query_statement').table) }}
{% endmacro %}

{% macro validate_sql(sql) %}{{ return(adapter.dispatch('validate_sql', 'dbt')(sql)) }}{% endmacro %}
{% macro default__validate_sql(sql) -%}
  {% call statement('validate_sql') -%} explain {{ sql }} {% endcall %}
  {{ return(load_result('validate_sql')) }}
{% endmacro %}

{% macro is_core_v2() %}{{ return(dbt_version.split('.')[0] | int == 2) }}{% endmacro %}

{% macro get_show_sql(compiled_code, sql_header, limit) -%}
  {%- if sql_header is not none -%} {{ sql_header }} {%- endif %}
  {{ get_limit_subquery_sql(compiled_code, limit) }}
{% endmacro %}
{% macro get_limit_subquery_sql(sql, limit) %}{{ return(adapter.dispatch('get_limit_sql', 'dbt')(sql, limit)) }}{% endmacro %}
{% macro default__get_limit_sql(sql, limit) %}
  {{ sql }}
  {% if limit is not none %}limit {{ limit }}{% endif %}
{% endmacro %}
