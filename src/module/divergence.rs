//! A change that came from the primary or from the AOF and cannot be applied: the copy of the space that
//! is here lacks it, and everything that builds on it. Serving such a copy would hand out tasks that are
//! done, so the space is given up: it refuses every command, it stays so in every file that is written
//! of it, and INFO counts it. A full resync puts a whole one in its place.
//!
//! The usual cause is a primary that runs a newer version of the module. What comes is still written to
//! the AOF as it came, so a version that knows it loads all of it.
//!
//! In an AOF that a newer version wrote there is nothing to be had but the file itself, which the next
//! rewrite would replace: so the server ends, as it does itself at a command that it does not know, and
//! as it does at an RDB file of a newer layout.

use std::process;

use super::awaiting;
use super::key::Target;
use super::server::{Ctx, Level};
use crate::encoding::bytes::DecodeError;
use crate::engine::space::Space;

/// Gives a space up for want of an effect, and says so once in the log. Does not return when a file of a
/// newer version is being loaded.
pub fn give_up(ctx: &Ctx<'_>, target: &Target<'_>, space: &mut Space, error: &DecodeError) {
    let name = target.name.bytes().escape_ascii();
    if ctx.flags().comes_from_file() {
        if error.is_newer() {
            let text = format!(
                "the AOF cannot be loaded: an effect on the space '{name}' does not read: {error}. \
                 The server stops here and leaves the file as it is: \
                 load it with the version of the module that wrote it, or a newer one"
            );
            ctx.log(Level::Warning, &text);
            process::exit(1);
        }
        let text = format!("the space '{name}' is incomplete: an effect in the AOF does not fit: {error}");
        ctx.log(Level::Warning, &text);
    } else {
        let text = format!(
            "the space '{name}' is incomplete until a full resync, and refuses every command: \
             an effect of the primary cannot be applied: {error}"
        );
        ctx.log(Level::Warning, &text);
    }
    space.give_up();
    awaiting::changed_at(ctx, target.place());
}
