//! How far the model is free to call the tools.

use polywire_conversation::{Fault, Ledger, Loss, Request, ToolChoice};

use super::Losses;
use super::tools::{Entry, Single, choice_of, choice_of_hosted};
use crate::profile::{ChoiceForm, Profile};

/// The tools that go out, and the `tool_choice` that goes with them.
pub(super) struct Chosen<'r> {
    pub(super) tools: Vec<Entry<'r>>,
    pub(super) choice: Choice,
}

/// A `tool_choice` as it goes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The field is left out.
    Unset,
    /// One of the words.
    Word(&'static str),
    /// A JSON object.
    Object(String),
}

/// Settles the choice in the forms that the provider knows.
pub(super) fn choose<'r>(
    request: &Request<'_>,
    tools: Vec<Entry<'r>>,
    ledger: &Ledger,
    profile: &Profile,
    losses: &mut Losses,
) -> Result<Chosen<'r>, Fault> {
    let mut chooser = Chooser {
        tools,
        ledger,
        profile,
        losses,
    };
    let choice = match &request.tool_choice {
        ToolChoice::Unset => Choice::Unset,
        ToolChoice::Auto => chooser.auto(),
        ToolChoice::None => chooser.none(),
        ToolChoice::Required => chooser.demand(),
        ToolChoice::Named { name, namespace } => chooser.named(name, namespace.as_deref()),
        ToolChoice::Allowed { required, names } => chooser.allowed(*required, names),
        ToolChoice::Hosted(tag) => chooser.hosted(tag)?,
    };
    Ok(Chosen {
        tools: chooser.tools,
        choice,
    })
}

struct Chooser<'r, 'w> {
    tools: Vec<Entry<'r>>,
    ledger: &'w Ledger,
    profile: &'w Profile,
    losses: &'w mut Losses,
}

impl<'r> Chooser<'r, '_> {
    fn knows(&self, form: ChoiceForm) -> bool {
        self.profile.tool_choice.contains(&form)
    }

    fn auto(&self) -> Choice {
        if self.knows(ChoiceForm::Auto) {
            Choice::Word("auto")
        } else {
            Choice::Unset
        }
    }

    fn none(&mut self) -> Choice {
        if self.knows(ChoiceForm::None) {
            return Choice::Word("none");
        }
        self.tools.clear();
        self.losses.add(Loss::note(
            "tool_choice",
            "`none`: the tools were left out, because the provider does not know the word",
        ));
        Choice::Unset
    }

    /// Demands a call, whichever.
    fn demand(&mut self) -> Choice {
        if self.knows(ChoiceForm::Required) {
            return Choice::Word("required");
        }
        self.losses.add(Loss::degraded(
            "tool_choice",
            "the provider cannot be made to call a tool; the model is free to choose",
        ));
        self.auto()
    }

    /// Demands a call of one tool: by its name, or by leaving out all others.
    fn named(&mut self, name: &str, namespace: Option<&str>) -> Choice {
        let is_meant =
            |single: &Single<'r>| single.name() == name && single.namespace() == namespace;
        let Some(single) = self.singles().find(is_meant) else {
            self.losses.add(Loss::degraded(
                "tool_choice",
                format!("`{name}` is not among the tools; the model is free to choose"),
            ));
            return self.auto();
        };
        if self.knows(ChoiceForm::Named) {
            return Choice::Object(choice_of(&single, self.ledger, self.profile));
        }
        let choice = self.demand();
        if choice == Choice::Word("required") {
            self.retain(is_meant, |_| false);
            self.losses.add(Loss::note(
                "tool_choice",
                format!("only `{name}` is sent, because the provider takes no name here"),
            ));
        }
        choice
    }

    /// Allows some of the tools: by naming them, or by leaving out all others.
    fn allowed(&mut self, required: bool, names: &[std::borrow::Cow<'_, str>]) -> Choice {
        let ledger = self.ledger;
        let is_allowed =
            |single: &Single<'r>| names.iter().any(|name| single.is_called(name, ledger));
        if self.knows(ChoiceForm::Allowed) {
            let mut tools: Vec<String> = self
                .singles()
                .filter(is_allowed)
                .map(|single| choice_of(&single, ledger, self.profile))
                .collect();
            let hosted = self.tools.iter().filter_map(|entry| match entry {
                Entry::Passing { tag, .. } if names.iter().any(|name| name == tag) => {
                    Some(choice_of_hosted(tag))
                }
                Entry::Passing { .. } | Entry::Single(_) | Entry::Group { .. } => None,
            });
            tools.extend(hosted);
            let mode = if required { "required" } else { "auto" };
            let tools = tools.join(",");
            return Choice::Object(format!(
                r#"{{"type":"allowed_tools","mode":"{mode}","tools":[{tools}]}}"#
            ));
        }
        self.retain(is_allowed, |tag| names.iter().any(|name| name == tag));
        self.losses.add(Loss::note(
            "tool_choice",
            "`allowed_tools`: only those tools are sent; the prompt cache may miss",
        ));
        if required { self.demand() } else { self.auto() }
    }

    fn hosted(&self, tag: &str) -> Result<Choice, Fault> {
        let is_offered = |entry: &Entry<'_>| match entry {
            Entry::Passing { tag: offered, .. } => *offered == tag,
            Entry::Single(_) | Entry::Group { .. } => false,
        };
        if self.tools.iter().any(is_offered) {
            return Ok(Choice::Object(choice_of_hosted(tag)));
        }
        Err(Fault::invalid(
            "tool_choice",
            format!("the provider has no built-in tool `{tag}`, and the request insists on it"),
        ))
    }

    /// Every tool that can be called, in groups or not.
    fn singles(&self) -> impl Iterator<Item = Single<'r>> {
        self.tools.iter().flat_map(|entry| match entry {
            Entry::Single(single) => std::slice::from_ref(single).iter().copied(),
            Entry::Group { tools, .. } => tools.iter().copied(),
            Entry::Passing { .. } => [].iter().copied(),
        })
    }

    /// Leaves out all tools but these.
    fn retain(&mut self, keep: impl Fn(&Single<'r>) -> bool, keep_passing: impl Fn(&str) -> bool) {
        self.tools.retain_mut(|entry| match entry {
            Entry::Single(single) => keep(single),
            Entry::Passing { tag, .. } => keep_passing(tag),
            Entry::Group { tools, .. } => {
                tools.retain(&keep);
                !tools.is_empty()
            }
        });
    }
}
