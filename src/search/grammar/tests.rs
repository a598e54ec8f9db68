//! Reading grammars.

use std::path::Path;

use super::parse::{Expression, parse};

fn word(text: &str) -> Expression {
    Expression::Word(text.into())
}

#[test]
fn rules_have_alternatives_groups_options_and_references() {
    let text = "#JSGF V1.0;\ngrammar home;\n// all\npublic <go> = (Turn | switch) [the] <thing>;\n/* two\nlines */ <thing> = light;";
    let rules = parse(Path::new("g"), text).unwrap();
    let either = Expression::Alternatives(vec![word("turn"), word("switch")]);
    let optional = Expression::Optional(Box::new(word("the")));
    let go = Expression::Sequence(vec![either, optional, Expression::Rule("thing".into(), 4)]);
    assert_eq!(rules.named["go"], go);
    assert_eq!(rules.named["thing"], word("light"));
    assert_eq!(rules.root, Expression::Alternatives(vec![Expression::Rule("go".into(), 4)]));
    assert_eq!((rules.words.len(), rules.words["light"]), (4, 6));
}

#[test]
fn plus_and_star_repeat_what_is_before_them() {
    let rules = parse(Path::new("g"), "<a> = go (left | right)+ please**+;").unwrap();
    let repeated = |inner| Expression::Repeated(Box::new(inner));
    let sides = Expression::Alternatives(vec![word("left"), word("right")]);
    let polite = Expression::Optional(Box::new(repeated(word("please"))));
    let expected = Expression::Sequence(vec![word("go"), repeated(sides), polite]);
    assert_eq!(rules.named["a"], expected);
}

#[test]
fn a_list_has_a_phrase_a_line() {
    let rules = parse(Path::new("g"), "# commands\nlights on\n\nTurn-off\n").unwrap();
    let phrase = |words: [&str; 2]| Expression::Sequence(words.map(word).to_vec());
    let expected = vec![phrase(["lights", "on"]), phrase(["turn", "off"])];
    assert_eq!(rules.root, Expression::Alternatives(expected));
}

#[test]
fn bad_grammars_are_refused_with_the_line() {
    for (text, line, what) in [
        ("", 1, "no phrases"),
        ("one\ntwo 2", 2, "'2'"),
        ("<a> = one", 1, ";"),
        ("<a> = one |;", 1, "words are missing"),
        ("<a> = (one;", 1, ") is missing"),
        ("<a> = [one);", 1, "] is missing"),
        ("<a> = one;\n<b = two;", 2, "> is missing"),
        ("<a> = one;\n<a> = two;", 2, "twice"),
        ("<a> = * one;", 1, "words are missing"),
        ("<a> = one\n{tag;", 2, "} is missing"),
        ("<a> = {tag} one;", 1, "words are missing"),
        ("<a> = one\n};", 2, "} without {"),
        ("<a> = /x/ one;", 1, "a weight is written"),
        ("<a> = /0/ one | /1/ two;", 1, "a weight is written"),
        ("<a> = /2/ one | two;", 1, "either all"),
        ("<a> = one /2/ two;", 1, "at the beginning"),
        ("<a> = \"one\";", 1, "'\"'"),
        ("<a> one;", 1, "="),
        ("one <a>;", 1, "a rule is written"),
        ("#JSGF V1.0;\n", 1, "no rules"),
        (&format!("<a> = {}", "(".repeat(1_000_000)), 1, "too many brackets"),
    ] {
        let message = parse(Path::new("g.txt"), text).unwrap_err().to_string();
        assert!(message.contains(&format!("g.txt: line {line}")), "{what}: {message}");
        assert!(message.contains(what), "{what}: {message}");
    }
}
