namespace TinyZsad.Imaging;

/// <summary>Specifies the entries of a directory that a decoder needs, by their numbers in the file.</summary>
internal enum TiffTag : ushort
{
    ImageWidth = 256,
    ImageLength = 257,
    BitsPerSample = 258,
    Compression = 259,
    PhotometricInterpretation = 262,
    FillOrder = 266,
    StripOffsets = 273,
    Orientation = 274,
    SamplesPerPixel = 277,
    RowsPerStrip = 278,
    StripByteCounts = 279,
    PlanarConfiguration = 284,
    T4Options = 292,
    T6Options = 293,
    Predictor = 317,
    ColorMap = 320,
    TileWidth = 322,
    TileLength = 323,
    TileOffsets = 324,
    TileByteCounts = 325,
    ExtraSamples = 338,
    SampleFormat = 339,
    JpegTables = 347,
}

/// <summary>Specifies the meaning of the samples.</summary>
internal enum TiffPhotometric
{
    WhiteIsZero = 0,
    BlackIsZero = 1,
    Rgb = 2,
    Palette = 3,
    Separated = 5,
    YCbCr = 6,
}

/// <summary>Specifies how strips and tiles are compressed.</summary>
internal enum TiffCompression
{
    None = 1,
    CcittHuffman = 2,
    CcittGroup3 = 3,
    CcittGroup4 = 4,
    Lzw = 5,
    Jpeg = 7,
    AdobeDeflate = 8,
    CcittHuffmanWords = 32771,
    PackBits = 32773,
    Deflate = 32946,
}
