//! What a MySQL 9.7 server answered to the same texts, and bad input.

use crate::gtid::{GNO_MAX, Interval, MysqlGtidSet, ParseMysqlGtidError, Tag, Uuid};

const FIRST: &str = "00000000-0000-0000-0000-000000000001";
const SECOND: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

/// Writes `U` for the second UUID and `V` for the first, so that cases stay short.
fn expand(text: &str) -> String {
    text.replace('U', SECOND).replace('V', FIRST)
}

fn set(text: &str) -> MysqlGtidSet {
    MysqlGtidSet::parse(&expand(text)).unwrap()
}

fn one_line(set: &MysqlGtidSet) -> String {
    set.one_line()
        .to_string()
        .replace(SECOND, "U")
        .replace(FIRST, "V")
}

#[test]
fn texts_a_server_accepts() {
    let cases = [
        ("", ""),
        ("   \n", ""),
        (",", ""),
        ("U", ""),
        ("U:tag", ""),
        ("U:5", "U:5"),
        ("U:5-3", ""),
        ("U:5-0", ""),
        ("U:5-5", "U:5"),
        (" U : 5 - 7 : 9 ", "U:5-7:9"),
        ("U:1\u{b}\u{c}\r\t\n:3", "U:1:3"),
        ("U:010", "U:10"),
        ("U:1:2:3:5-6:6-9", "U:1-3:5-9"),
        ("U:9:5-7:1-6", "U:1-7:9"),
        (",,U:1,,V:2,", "V:2,U:1"),
        ("U:1\n,\nV:1", "V:1,U:1"),
        ("U:1,U:3,U:2", "U:1-3"),
        ("U:1-5:tag:1-3", "U:1-5:tag:1-3"),
        ("U:tag:1-3:1-5", "U:tag:1-5"),
        ("U:tag:1:tag:2,U:3", "U:3:tag:1-2"),
        ("U:TAG:1", "U:tag:1"),
        ("U: tag : 1", "U:tag:1"),
        ("U:a:b:1", "U:b:1"),
        ("U:a:5-3:b:1:2", "U:b:1-2"),
        ("U:b:1:a:2:3", "U:a:2-3:b:1"),
        ("U:a:1:a_b:1:a1:1:_a:1:ab:1:1", "U:_a:1:a:1:a1:1:a_b:1:ab:1"),
        ("{U}:1", "U:1"),
        ("3E11FA47-71CA-11E1-9E33-C80AA9429562:1", "U:1"),
        ("3e11fa4771ca11e19e33c80aa9429562:1", "U:1"),
        ("U:1-9223372036854775806", "U:1-9223372036854775806"),
        (
            "U:abcdefghijklmnopqrstuvwxyz012345:1",
            "U:abcdefghijklmnopqrstuvwxyz012345:1",
        ),
    ];
    for (text, canonical) in cases {
        assert_eq!(one_line(&set(text)), canonical, "{text:?}");
    }
}

#[test]
fn each_uuid_is_printed_on_a_line_of_its_own() {
    insta::assert_snapshot!(set("U:1-3:tag:7,V:2:4"), @r"
    00000000-0000-0000-0000-000000000001:2:4,
    3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3:tag:7
    ");
}

#[test]
fn texts_a_server_refuses() {
    let refusals: Vec<String> = [
        "x",
        "U:",
        "U:5-",
        "U::5",
        "U:1:",
        "U:tag:",
        "U:-1",
        "U:+5",
        "U:0",
        "U:tag:0",
        "U:0x10",
        "U:1x:1",
        "U:t-x:1",
        "U:tag 1",
        "U:5 6",
        "U:1-2-3",
        "U:1;",
        "U:1é",
        "U U:1",
        "{U:1",
        "U}:1",
        "{ U }:1",
        "{3e11fa4771ca11e19e33c80aa9429562}",
        "3e11fa47-71ca11e19e33c80aa9429562:1",
        "U:9223372036854775807",
        "U:1-9223372036854775807",
        "U:99999999999999999999999999",
    ]
    .iter()
    .map(|text| {
        let error = MysqlGtidSet::parse(&expand(text)).expect_err(text);
        let message = error.to_string().replace(SECOND, "U");
        format!(
            "{text:24} {}",
            message.trim_start_matches("cannot read MySQL GTID set: ")
        )
    })
    .collect();
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    x                        expected a UUID at byte 0, found "x"
    U:                       expected a number or a tag at byte 37, found ""
    U:5-                     expected a number at byte 39, found ""
    U::5                     expected a number or a tag at byte 37, found ":5"
    U:1:                     expected a number or a tag at byte 39, found ""
    U:tag:                   expected a number or a tag at byte 41, found ""
    U:-1                     expected a number or a tag at byte 37, found "-1"
    U:+5                     expected a number or a tag at byte 37, found "+5"
    U:0                      transaction number at byte 37 is out of range: "0"
    U:tag:0                  transaction number at byte 41 is out of range: "0"
    U:0x10                   transaction number at byte 37 is out of range: "0x10"
    U:1x:1                   expected a comma, colon or the end at byte 38, found "x:1"
    U:t-x:1                  expected a comma, colon or the end at byte 38, found "-x:1"
    U:tag 1                  expected a comma, colon or the end at byte 41, found "1"
    U:5 6                    expected a comma, colon or the end at byte 39, found "6"
    U:1-2-3                  expected a comma, colon or the end at byte 40, found "-3"
    U:1;                     expected a comma, colon or the end at byte 38, found ";"
    U:1é                     expected a comma, colon or the end at byte 38, found "é"
    U U:1                    expected a comma, colon or the end at byte 37, found "3e11fa47-71ca-11"
    {U:1                     expected a UUID at byte 0, found "{3e11fa47-71ca-1"
    U}:1                     expected a comma, colon or the end at byte 36, found "}:1"
    { U }:1                  expected a UUID at byte 0, found "{ 3e11fa47-71ca-"
    {3e11fa4771ca11e19e33c80aa9429562} expected a UUID at byte 0, found "{3e11fa4771ca11e"
    3e11fa47-71ca11e19e33c80aa9429562:1 expected a UUID at byte 0, found "3e11fa47-71ca11e"
    U:9223372036854775807    transaction number at byte 37 is out of range: "9223372036854775"
    U:1-9223372036854775807  transaction number at byte 39 is out of range: "9223372036854775"
    U:99999999999999999999999999 transaction number at byte 37 is out of range: "9999999999999999"
    "#);
}

#[test]
fn an_error_says_where() {
    let too_long_tag = expand("U:abcdefghijklmnopqrstuvwxyz0123456:1");
    assert_eq!(
        MysqlGtidSet::parse(&too_long_tag),
        Err(ParseMysqlGtidError::Unexpected {
            expected: "a number or a tag",
            at: 37,
            found: "abcdefghijklmnop".to_owned(),
        })
    );
    assert_eq!(
        MysqlGtidSet::parse(" 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-x"),
        Err(ParseMysqlGtidError::Unexpected {
            expected: "a number",
            at: 40,
            found: "x".to_owned(),
        })
    );
    assert_eq!(
        MysqlGtidSet::parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:0-7"),
        Err(ParseMysqlGtidError::NumberOutOfRange {
            at: 37,
            found: "0-7".to_owned()
        })
    );
}

#[test]
fn algebra() {
    // Left, right, union, intersection, left without right.
    let cases = [
        ("", "", "", "", ""),
        ("U:1-5", "", "U:1-5", "", "U:1-5"),
        ("", "U:1-5", "U:1-5", "", ""),
        ("U:1-5", "U:1-5", "U:1-5", "U:1-5", ""),
        ("U:1-5", "U:6-9", "U:1-9", "", "U:1-5"),
        ("U:1-9", "U:3:5-6", "U:1-9", "U:3:5-6", "U:1-2:4:7-9"),
        ("U:3:5-6", "U:1-9", "U:1-9", "U:3:5-6", ""),
        ("U:1-4:8-9", "U:3-8:12", "U:1-9:12", "U:3-4:8", "U:1-2:9"),
        ("U:1-5", "V:1-5", "V:1-5,U:1-5", "", "U:1-5"),
        (
            "U:1-5:a:1-5",
            "U:2:a:3",
            "U:1-5:a:1-5",
            "U:2:a:3",
            "U:1:3-5:a:1-2:4-5",
        ),
        ("U:1-5", "U:a:1-5", "U:1-5:a:1-5", "", "U:1-5"),
    ];
    for (left, right, union, both, rest) in cases {
        let (one, two) = (set(left), set(right));
        assert_eq!(one_line(&one.union(&two)), union, "{left} union {right}");
        assert_eq!(
            one_line(&one.intersect(&two)),
            both,
            "{left} intersect {right}"
        );
        assert_eq!(
            one_line(&one.subtract(&two)),
            rest,
            "{left} subtract {right}"
        );
        assert_eq!(
            one.is_subset_of(&two),
            rest.is_empty(),
            "{left} subset of {right}"
        );
    }
}

#[test]
fn counts_do_not_overflow() {
    let full = format!("{FIRST}:1-{GNO_MAX}");
    assert_eq!(MysqlGtidSet::parse(&full).unwrap().count(), GNO_MAX);
    let three = format!("{full},{SECOND}:1-{GNO_MAX}:tag:1-{GNO_MAX}");
    assert_eq!(MysqlGtidSet::parse(&three).unwrap().count(), u64::MAX);
    assert_eq!(set("").count(), 0);
}

#[test]
fn parts_of_one_server() {
    let all = set("U:1-3:tag:7,V:2:4");
    let uuid: Uuid = SECOND.parse().unwrap();
    let tag: Tag = "Tag".parse().unwrap();
    assert_eq!(one_line(&all.restrict_to_uuid(uuid)), "U:1-3:tag:7");
    assert_eq!(one_line(&all.without_uuid(uuid)), "V:2:4");
    assert_eq!(all.intervals(uuid, None).unwrap().to_string(), "1-3");
    assert_eq!(all.intervals(uuid, Some(&tag)).unwrap().last(), Some(7));
    assert_eq!(all.iter().count(), 3);
}

#[test]
fn inserting_keeps_the_normal_form() {
    let uuid: Uuid = SECOND.parse().unwrap();
    let mut grown = MysqlGtidSet::new();
    for number in [5, 4, 9, 1, 2, 3, 8, 5] {
        grown.insert(
            uuid,
            None,
            Interval::from_first_to_last(number, number).unwrap(),
        );
    }
    assert_eq!(grown, set("U:1-5:8-9"));
}

#[test]
fn names_that_are_none() {
    for text in [
        "",
        "1a",
        "a-b",
        "é",
        "a ",
        "abcdefghijklmnopqrstuvwxyz0123456",
    ] {
        assert!(text.parse::<Tag>().is_err(), "{text:?}");
    }
    for text in ["", "x", "3e11fa47-71ca-11e1-9e33-c80aa942956", "é"] {
        assert!(text.parse::<Uuid>().is_err(), "{text:?}");
    }
    assert_eq!(Interval::from_first_to_last(0, 3), None);
    assert_eq!(Interval::from_first_to_last(3, 2), None);
    assert_eq!(Interval::from_first_to_last(1, GNO_MAX + 1), None);
}
