"""XML held against XSD and RELAX NG."""

from typing import Any

import pytest

from processing.pipelines import InvalidPipeline, parse
from processing.steps.contract import StepFailed
from processing.steps.validate import step
from tests.processing.steps.harness import run

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:element name="list"><xs:complexType><xs:sequence>
<xs:element name="n" type="small" maxOccurs="unbounded"/>
</xs:sequence><xs:attribute name="k" type="xs:int" use="required"/></xs:complexType></xs:element>
<xs:simpleType name="small"><xs:restriction base="xs:int"><xs:maxInclusive value="9"/>
</xs:restriction></xs:simpleType></xs:schema>"""
RELAX_NG = """<element name="list" xmlns="http://relaxng.org/ns/structure/1.0"
 datatypeLibrary="http://www.w3.org/2001/XMLSchema-datatypes">
<attribute name="k"><data type="int"/></attribute>
<oneOrMore><element name="n"><data type="int"/></element></oneOrMore></element>"""
GOOD = b"<list k='1'>\n<n>3</n>\n</list>"
BAD = b"<list k='1'>\n<n>3</n>\n<n>SECRET</n><m/>\n</list>"


def held(content: bytes, **settings: Any) -> dict[str, Any]:
    return dict(run(step, content, "application/xml", settings).output)


@pytest.mark.parametrize("schema", [{"xsd": XSD}, {"relax_ng": RELAX_NG}])
def test_xml_is_held_against_a_schema_and_mistakes_have_their_lines(schema: Any) -> None:
    assert held(GOOD, **schema) == {
        "kind": "xml", "valid": True, "mistakes": 0, "complete": True, "first": [],
    }  # fmt: skip
    output = held(BAD, **schema)
    assert (output["valid"], output["complete"]) == (False, True)
    assert {mistake["place"] for mistake in output["first"]} >= {"line 3, /list/n[2]"}
    assert "SECRET" not in str(output)


def test_the_sentences_of_xsd_name_the_rule() -> None:
    output = held(b"<list z='SECRET'>\n<n>x</n><n>99</n><m/></list>", xsd=XSD)
    assert [mistake["message"] for mistake in output["first"]] == [
        "Element 'list', attribute 'z': The attribute 'z' is not allowed.",
        "Element 'list': The attribute 'k' is required but missing.",
        "Element 'n': The value is not valid for the atomic type 'small'.",
        "Element 'n': The value breaks the rule maxInclusive.",
        "Element 'm': This element is not expected. Expected is ( n ).",
    ]


def test_a_line_far_down_is_told_right() -> None:
    output = held(b"<list k='1'>" + b"\n" * 70_000 + b"<m/></list>", xsd=XSD)
    assert output["first"][0]["place"] == "line 70001, /list/m"


def test_very_many_mistakes_are_not_looked_for_to_the_end() -> None:
    output = held(b"<list k='1'>\n" + b"<n>x</n>\n" * 300_000 + b"</list>", xsd=XSD)
    assert (output["valid"], output["complete"]) == (False, False)
    assert 1000 < output["mistakes"] < 3000
    assert len(output["first"]) == 50
    assert output["first"][0]["place"].startswith("lines 1 to ")


@pytest.mark.parametrize("schema", [{"xsd": XSD}, {"relax_ng": RELAX_NG}])
@pytest.mark.parametrize(
    "content",
    [
        b"<list k='1'>" + b"<n>" * 500 + b"</n>" * 500 + b"</list>",
        b"<list k='1'><n>" + b"9" * 11_000_000 + b"</n></list>",
    ],
    ids=["deep", "long"],
)
def test_what_the_library_will_not_hold_is_too_large(schema: Any, content: bytes) -> None:
    with pytest.raises(StepFailed) as failure:
        held(content, **schema)
    assert failure.value.code == "validate_too_large"


def test_a_document_type_is_refused_before_the_schema_is_asked() -> None:
    output = held(b'<!DOCTYPE list SYSTEM "file:///etc/passwd">\n' + GOOD, xsd=XSD)
    assert (output["valid"], output["mistakes"]) == (False, 1)
    assert "document type definition" in output["first"][0]["message"]


def test_a_schema_that_cannot_be_compiled_is_the_reason_of_the_failure() -> None:
    with pytest.raises(StepFailed) as failure:
        held(GOOD, xsd=XSD.replace('type="small"', 'type="nothing"'))
    assert failure.value.code == "validate_schema_broken"
    assert "line 3" in failure.value.detail


REFERRING = '<xs:{} schemaLocation="file:///etc/passwd"/></xs:schema>'


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"xsd": XSD.replace("</xs:schema>", REFERRING.format("import"))}, "refers to another"),
        ({"xsd": XSD.replace("</xs:schema>", REFERRING.format("include"))}, "refers to another"),
        ({"xsd": XSD.replace("</xs:schema>", REFERRING.format("redefine"))}, "refers to another"),
        (
            {"relax_ng": RELAX_NG.replace("<oneOrMore>", '<externalRef href="x"/><oneOrMore>')},
            "refers to another document",
        ),
        ({"xsd": "<!DOCTYPE x>" + XSD}, "line 1: a document type definition"),
        ({"xsd": XSD + "<more/>"}, "is not well-formed XML: line 6"),
        ({"xsd": RELAX_NG}, "does not name the namespace"),
        ({"xsd": XSD + " " * 100_000}, "has more than 100,000 characters"),
        ({"xsd": XSD, "relax_ng": RELAX_NG}, "only one of them counts"),
    ],
)
def test_a_pipeline_with_an_unfit_schema_of_xml_is_refused(schema: Any, message: str) -> None:
    use = {"step": "validate", "settings": schema}
    with pytest.raises(InvalidPipeline) as failure:
        parse({"name": "checked", "media_types": ["application/xml"], "steps": [use]})
    assert message in str(failure.value.mistakes[0])


def test_a_schema_that_went_past_the_check_fetches_nothing(tmp_path: Any) -> None:
    """Should the check of a pipeline miss a reference, the library still opens no document."""
    other = tmp_path / "other.xsd"
    other.write_text(XSD)
    asking = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f'<xs:include schemaLocation="{other}"/></xs:schema>'
    )
    with pytest.raises(StepFailed) as failure:
        held(GOOD, xsd=asking)
    assert failure.value.code == "validate_schema_broken"
