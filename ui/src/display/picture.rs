//! The guest's picture between the session and the toolkit's thread.

use std::sync::Arc;

use guesthouse_engine::display::Surface;
use parking_lot::Mutex;

/// Who knows of what changed.
#[derive(Default)]
struct News {
    /// The toolkit's thread was told of a change that it did not draw yet.
    announced: bool,
    /// The session asks for no more until it did.
    waiting: bool,
}

/// The picture, and the news of it. Cloning shares both.
#[derive(Clone)]
pub struct Picture {
    surface: Arc<Surface>,
    news: Arc<Mutex<News>>,
}

impl Picture {
    /// What is on `surface`: the machine's own, or one that the session draws on.
    pub fn new(surface: Arc<Surface>) -> Self {
        Self {
            surface,
            news: Arc::default(),
        }
    }

    /// The pixels.
    pub fn surface(&self) -> &Surface {
        &self.surface
    }

    /// The toolkit's thread draws what is there now; tells whether the session waits for that.
    pub fn take_news(&self) -> bool {
        std::mem::take(&mut *self.news.lock()).waiting
    }

    /// Whether the toolkit's thread has to be told that there is something to draw. If it was before and did not draw yet, the
    /// session is to wait for that: what nobody looks at is not fetched.
    pub fn announce(&self) -> bool {
        let mut news = self.news.lock();
        news.waiting = news.announced;
        !std::mem::replace(&mut news.announced, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_one_picture_ahead_at_most() {
        let picture = Picture::new(Arc::default());
        assert!(picture.announce());
        assert!(!picture.announce());
        assert!(picture.take_news());
        assert!(picture.announce());
        assert!(!picture.take_news());
    }
}
