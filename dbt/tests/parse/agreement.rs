//! Reading a template's tree must tell what rendering it would: the same templates, both ways.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::manifest::Manifest;
use common::relation::Quoting;
use dbt::context::{Invocation, Parsing, Project, Recorded};
use dbt::jinja::Template;
use dbt::parse::extract::{Overrides, extract};

use super::project::{fixture, parse, target};

fn parsing(manifest: &Manifest) -> Parsing {
    Parsing::new(Project {
        name: manifest.project_name.clone(),
        macros: manifest.macros.clone(),
        packages: manifest.packages.clone(),
        dispatch: BTreeMap::new(),
        quoting: Quoting::default(),
        target: target(),
        invocation: Invocation::default(),
    })
}

fn without_repeats(mut recorded: Recorded) -> Recorded {
    let mut refs = Vec::new();
    recorded.refs.retain(|found| {
        !refs.contains(found) && {
            refs.push(found.clone());
            true
        }
    });
    let mut sources = Vec::new();
    recorded.sources.retain(|found| {
        !sources.contains(found) && {
            sources.push(found.clone());
            true
        }
    });
    recorded
}

#[test]
fn reading_agrees_with_rendering() {
    let manifest = parse(&fixture("manifest")).manifest;
    let parsing = parsing(&manifest);
    let node = manifest.nodes.get("model.shop.c").expect("it is in the fixture");
    let templates = [
        "select * from {{ ref('a') }} join {{ ref('a') }} join {{ ref('shop', 'b', v=1) }} {# ref('c') #}",
        "{{ ref('b', version='2') }}{{ ref('b', v=1.5) }}{{ ref('b', v=none) }}",
        "{{ config(materialized='table', tags=['x', 'y'], meta={'a': [1, -2, 1.5, none, true]}) }}{{ config(tags='z') }}",
        "{{ config({'alias': 'x', 'pre_hook': 'select 1'}) }}{{ config(post_hook=['a', {'sql': 'b'}]) }}",
        "{% do config(enabled=false) %}{{ source('raw', 't1') }}{{ this }}{{ this.schema }}{{ target.name }}",
        "{% if is_incremental() %}{{ ref('a') }}{% else %}{{ ref('c') }}{% endif %}{{ 'text' }}{{ 1 }}",
    ];
    for text in templates {
        let template = Template::parse(Arc::from("test"), Arc::from(text)).expect("it parses");
        let read = extract(&template, Overrides::default()).unwrap_or_else(|| panic!("not read statically: {text}"));
        let rendered = parsing.render(node, text).unwrap_or_else(|error| panic!("{text}: {error}")).recorded;
        assert_eq!(without_repeats(read), without_repeats(rendered), "{text}");
    }
}

#[test]
fn what_only_rendering_can_tell_is_left_to_it() {
    let templates = [
        "{% set name = 'a' %}{{ ref(name) }}",
        "{{ ref('a' ~ 'b') }}",
        "{{ ref(*args) }}",
        "{% for x in [1] %}{{ ref('a') }}{% endfor %}",
        "{{ config(tags=var('x')) }}",
        "{{ some_macro() }}",
        "{% if true %}{{ ref('a') }}{% endif %}",
        "{{ ref('a') | upper }}",
        "{% if not is_incremental() %}{{ ref('a') }}{% endif %}",
    ];
    for text in templates {
        let template = Template::parse(Arc::from("test"), Arc::from(text)).expect("it parses");
        assert_eq!(extract(&template, Overrides::default()), None, "{text}");
    }
    let overridden = Overrides { calls: true, is_incremental: false };
    let template = Template::parse(Arc::from("test"), Arc::from("{{ ref('a') }}")).expect("it parses");
    assert_eq!(extract(&template, overridden), None);
}
