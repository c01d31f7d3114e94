"""`orn predict`: both stages on videos that no data set lists."""

if __name__ != "orn.predict_videos":
    raise ImportError("expected `import orn.predict_videos`, got `import predict_videos`")
